// Replays every recorded `docker volume …` through the command line and compares all of it.
import { describe, expect, test } from "bun:test";
import { type Command, loadCommands, recordings } from "../../test/docker/recordings.ts";
import { FakeDaemon, type Outcome, runWords, shellWords } from "../../test/support/fake-daemon.ts";
import {
  expectAsRecorded,
  normaliseWords as normalise,
  recordedAnswers,
} from "../../test/support/recorded-answers.ts";

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
        expectAsRecorded(command, outcome);
        comparedCount++;
      });
    }
  }

  test("is compared as a whole", () => {
    console.log(`recorded docker volume commands compared: ${comparedCount}`);
    expect(comparedCount).toBeGreaterThanOrEqual(100);
  });
});
