// Replays every recorded `docker volume …` through the command line and compares all of it.
import { describe, expect, test } from "bun:test";
import { type Command, loadCommands, recordings } from "../../test/docker/recordings.ts";
import {
  FakeDaemon,
  type FakeReply,
  type FakeRequest,
  type Outcome,
  runWords,
  shellWords,
} from "../../test/support/fake-daemon.ts";
import { compareVersions } from "./client.ts";

const names = ["01", "02", "03", "11"] as const;

/** Lines whose difference is wanted, and why. */
const explained: readonly { readonly line: string; readonly why: string }[] = [
  {
    line: "docker volume",
    why: "Docker asks the daemon before it prints help and hides `update` from an old one",
  },
];

/** A line that a shell must put together is not one command. */
function isOneCommand(command: Command): boolean {
  return (
    command.line.startsWith("docker volume") && !/[$|]/.test(command.line.replace("v1$", "v1"))
  );
}

/** Docker's name, and a slip of the keyboard in its texts. */
function normalise(text: string): string {
  return text
    .replaceAll("Docker", "Holdfast")
    .replaceAll("docker", "holdfast")
    .replaceAll("SRun ", "Run ");
}

function splitVersion(path: string): { readonly version: string; readonly rest: string } {
  const match = /^\/v([0-9.]+)(\/.*)$/.exec(path);
  return { version: match?.[1] ?? "", rest: match?.[2] ?? path };
}

/** Answers with the recorded exchanges, each once, and speaks the recorded version only. */
function recordedAnswers(
  command: Command,
  api: string,
): {
  readonly answer: (request: FakeRequest) => FakeReply;
  readonly unused: () => string[];
  readonly unexpected: string[];
} {
  const left = command.exchanges.filter(({ request }) => !request.path.includes("/_ping"));
  const unexpected: string[] = [];
  const answer = (request: FakeRequest): FakeReply => {
    if (request.path.endsWith("/_ping")) return { status: 200, headers: { "Api-Version": api } };
    const { version, rest } = splitVersion(request.path);
    if (compareVersions(version, api) > 0) {
      const rule = `Maximum supported API version is ${api}`;
      const message = `client version ${version} is too new. ${rule}`;
      return { status: 400, body: JSON.stringify({ message }) };
    }
    const found = left.findIndex((one) => {
      const isSamePath = splitVersion(decodeURIComponent(one.request.path)).rest === rest;
      return (
        isSamePath &&
        one.request.method === request.method &&
        isSameBody(one.request.body, request.body)
      );
    });
    const [exchange] = found < 0 ? [] : left.splice(found, 1);
    if (exchange === undefined) {
      unexpected.push(`${request.method} ${request.path} ${request.body}`);
      return { status: 500, body: JSON.stringify({ message: "not recorded" }) };
    }
    return { status: exchange.answer.status, body: exchange.answer.body };
  };
  return { answer, unexpected, unused: () => left.map(({ request }) => request.path) };
}

function isSameBody(recorded: unknown, sent: string): boolean {
  const text = recorded instanceof Uint8Array ? new TextDecoder().decode(recorded) : recorded;
  if (text === undefined || text === "") return sent === "";
  return (
    typeof text === "string" && sent !== "" && Bun.deepEquals(JSON.parse(text), JSON.parse(sent))
  );
}

async function replay(
  command: Command,
  api: string,
): Promise<Outcome & { readonly odd: string[] }> {
  const { answer, unexpected, unused } = recordedAnswers(command, api);
  await using daemon = await FakeDaemon.start(answer);
  const outcome = await runWords(shellWords(command.line).slice(1), daemon.host);
  return { ...outcome, odd: [...unexpected, ...unused()] };
}

describe("docker volume, recorded", () => {
  let comparedCount = 0;
  for (const name of names) {
    for (const command of loadCommands(name).filter(isOneCommand)) {
      const why = explained.find(({ line }) => line === command.line)?.why;
      if (why !== undefined) {
        test(`${name}: ${command.line} differs: ${why}`, async () => {
          const outcome = await replay(command, recordings[name].api);
          expect(normalise(outcome.stderr)).not.toBe(normalise(command.stderr));
          console.log(`explained difference: ${command.line}: ${why}`);
        });
        continue;
      }
      test(`${name}: ${command.line}`, async () => {
        const outcome = await replay(command, recordings[name].api);
        expect({
          stdout: normalise(outcome.stdout),
          stderr: normalise(outcome.stderr),
          exit: outcome.exit,
          odd: outcome.odd,
        }).toEqual({
          stdout: normalise(command.stdout),
          stderr: normalise(command.stderr),
          exit: command.exit,
          odd: [],
        });
        comparedCount++;
      });
    }
  }

  test("is compared as a whole", () => {
    console.log(`recorded docker volume commands compared: ${comparedCount}`);
    expect(comparedCount).toBeGreaterThanOrEqual(100);
  });
});
