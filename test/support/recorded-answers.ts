// A daemon that answers with what was recorded of a real one, each answer once.
import { expect } from "bun:test";
import { compareVersions } from "../../src/cli/client.ts";
import type { Command } from "../docker/recordings.ts";
import type { FakeReply, FakeRequest, Outcome } from "./fake-daemon.ts";

/** Docker's name, and a slip of the keyboard in its texts. */
export function normaliseWords(text: string): string {
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
export function recordedAnswers(
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
        (one.isUpload ? request.body !== "" : isSameBody(one.request.body, request.body))
      );
    });
    const [exchange] = found < 0 ? [] : left.splice(found, 1);
    if (exchange === undefined) {
      unexpected.push(`${request.method} ${request.path} ${request.body}`);
      return { status: 500, body: JSON.stringify({ message: "not recorded" }) };
    }
    const name = exchange.answer.headers.get("docker-plugin-name");
    const headers = name === undefined ? {} : { "Docker-Plugin-Name": name };
    return { status: exchange.answer.status, headers, body: exchange.answer.body };
  };
  return { answer, unexpected, unused: () => left.map(({ request }) => request.path) };
}

/** Compares all that a command has printed, and that the daemon was asked what was recorded. */
export function expectAsRecorded(
  command: Command,
  { stdout, stderr, exit, odd }: Outcome & { readonly odd: readonly string[] },
  normalise: (text: string) => string = normaliseWords,
): void {
  expect({ stdout: normalise(stdout), stderr: normalise(stderr), exit, odd }).toEqual({
    stdout: normalise(command.stdout),
    stderr: normalise(command.stderr),
    exit: command.exit,
    odd: [],
  });
}

function isSameBody(recorded: unknown, sent: string): boolean {
  const text = recorded instanceof Uint8Array ? new TextDecoder().decode(recorded) : recorded;
  if (text === undefined || text === "") return sent === "";
  return (
    typeof text === "string" && sent !== "" && Bun.deepEquals(JSON.parse(text), JSON.parse(sent))
  );
}
