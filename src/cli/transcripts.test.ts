// Compares the command line with what docker 28.2.2 printed for templates and unreadable lines.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FakeDaemon, type FakeReply, runWords } from "../../test/support/fake-daemon.ts";

interface Transcript {
  readonly words: readonly string[];
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number;
}

interface Fixture {
  readonly replies: Readonly<Record<string, FakeReply>>;
  readonly commands: readonly Transcript[];
}

const fixtureFile = join(import.meta.dir, "../../test/fixtures/cli/docker-28.2.2.json");
// The fixture's shape is described in its README; a wrong one fails the first test that reads it.
const fixture = JSON.parse(readFileSync(fixtureFile, "utf8")) as Fixture;

/** Templates whose message differs in a detail, and why. */
const explained: ReadonlyMap<string, string> = new Map([
  ['{{(split .Name "o").Foo}}', "Go names the operand it looked at last, we name the expression"],
]);

/** Suggestions are ours, between two empty lines; and so are some commands in a list. */
function normalise(text: string): string {
  return text
    .replaceAll("Docker", "Holdfast")
    .replaceAll("docker", "holdfast")
    .replaceAll("SRun ", "Run ")
    .replace(/^ {2}(conflicts|flush|history|protect|publish|rename|unprotect) .*\n/gm, "")
    .replace(/\nDid you mean [^\n]*\?\n/, "");
}

function answer(request: { readonly method: string; readonly path: string }): FakeReply {
  const path = request.path.replace(/^\/v[0-9.]+/, "");
  if (path === "/_ping") return { status: 200, headers: { "Api-Version": "1.51" } };
  const reply = fixture.replies[`${request.method} ${path}`];
  if (reply === undefined) throw new Error(`no reply for ${request.method} ${path}`);
  return reply;
}

describe("docker 28.2.2", () => {
  let comparedCount = 0;
  for (const transcript of fixture.commands) {
    const { words, stdout, stderr, exit } = transcript;
    const why = explained.get(words.at(-1) ?? "");
    const name = words.join(" ");
    if (why !== undefined) {
      test(`${name} differs: ${why}`, async () => {
        await using daemon = await FakeDaemon.start(answer);
        const outcome = await runWords(words, daemon.host);
        expect(normalise(outcome.stderr)).not.toBe(normalise(stderr));
        console.log(`explained difference: ${name}: ${why}`);
      });
      continue;
    }
    test(name, async () => {
      await using daemon = await FakeDaemon.start(answer);
      const outcome = await runWords(words, daemon.host, { env: { TZ: "UTC" } });
      expect({
        stdout: normalise(outcome.stdout),
        stderr: normalise(outcome.stderr),
        exit: outcome.exit,
      }).toEqual({ stdout: normalise(stdout), stderr: normalise(stderr), exit });
      comparedCount++;
    });
  }

  test("is compared as a whole", () => {
    console.log(`command lines of docker 28.2.2 compared: ${comparedCount}`);
    expect(comparedCount).toBeGreaterThanOrEqual(220);
  });
});
