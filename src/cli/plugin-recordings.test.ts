// Replays every recorded `docker plugin …` through the command line and compares all of it.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, loadCommands, recordings } from "../../test/docker/recordings.ts";
import { FakeDaemon, type Outcome, runWords, shellWords } from "../../test/support/fake-daemon.ts";
import {
  expectAsRecorded,
  normaliseWords,
  recordedAnswers,
} from "../../test/support/recorded-answers.ts";

const names = ["06", "07", "13"] as const;

/** Where the recorded sessions had their plugins. */
const recordedFolder = "/srv/plug";
let folder: string;

/** Lines whose difference is wanted, and why. */
const explained: readonly { readonly line: string; readonly why: string }[] = [
  {
    line: "docker plugin upgrade --grant-all-permissions myvp 127.0.0.1:5000/vp:v2",
    why: "asked of a plugin that runs, a daemon of ours is asked to upgrade it in place",
  },
];

const line = /^(?:printf '(\w)\\n' \| )?(docker plugin\b[^|;$]*)$/;

beforeAll(() => {
  folder = mkdtempSync("/dev/shm/holdfast-plugin-sessions-");
  for (const name of ["vp", "vp2", "vpmin", "vpbad", "vpnosock", "noconfig"]) {
    mkdirSync(join(folder, name, "rootfs/bin"), { recursive: true });
    writeFileSync(join(folder, name, "rootfs/bin/volplug"), "a program");
  }
  mkdirSync(join(folder, "norootfs"));
  mkdirSync(join(folder, "badjson"));
  for (const name of ["vp", "vp2", "vpmin", "vpbad", "vpnosock", "norootfs"]) {
    writeFileSync(join(folder, name, "config.json"), "{}");
  }
  writeFileSync(join(folder, "badjson/config.json"), "{not json");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function replay(command: Command, api: string): Promise<Outcome & { odd: string[] }> {
  const [, input, typed = ""] = line.exec(command.line) ?? [];
  const { answer, unexpected, unused } = recordedAnswers(command, api);
  await using daemon = await FakeDaemon.start(answer);
  const words = shellWords(typed.replaceAll(recordedFolder, folder)).slice(1);
  // Nobody's own logins.
  const env = { DOCKER_CONFIG: folder };
  const outcome = await runWords(words, daemon.host, { ...(input ? { input } : {}), env });
  return { ...outcome, odd: [...unexpected, ...unused()] };
}

function normalise(text: string): string {
  return normaliseWords(text).replaceAll(folder, recordedFolder);
}

/** What the recorder could not see: the daemon's answer to an upload that was sent at once. */
function isWhole(command: Command): boolean {
  const isUpload = /^docker plugin create \S+ \S+$/.test(command.line) && command.exit === 0;
  return !isUpload || command.exchanges.some(({ request }) => request.path.includes("create"));
}

describe("docker plugin, recorded", () => {
  let comparedCount = 0;
  for (const name of names) {
    for (const command of loadCommands(name).filter((each) => line.test(each.line))) {
      const known = explained.find((each) => each.line === command.line);
      if (known !== undefined && command.exit !== 0) {
        test(`${name}: ${command.line} differs: ${known.why}`, async () => {
          const outcome = await replay(command, recordings[name].api);
          expect(outcome.odd.join()).toContain("/holdfast/v1/health");
          console.log(`explained difference: ${command.line}: ${known.why}`);
        });
        continue;
      }
      if (!isWhole(command)) continue;
      test(`${name}: ${command.line}`, async () => {
        const outcome = await replay(command, recordings[name].api);
        expectAsRecorded(command, outcome, normalise);
        comparedCount++;
      });
    }
  }

  test("is compared as a whole", () => {
    console.log(`recorded docker plugin commands compared: ${comparedCount}`);
    expect(comparedCount).toBeGreaterThanOrEqual(60);
  });
});
