// Types the recorded commands again with the real docker CLI and compares what it prints.
import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../support/daemon.ts";
import { type Requirement, skipLoudly, whenPossible } from "../support/needs.ts";
import { dockerd, type EngineKind, holdfastWithoutTrash, holdfastWithPlugins } from "./engines.ts";
import { deviationHeadings, explainedForHoldfast } from "./explained.ts";
import { loadCommands, type RecordingName, recordings } from "./recordings.ts";
import {
  parseLine,
  printedDifferently,
  type TranscriptReport,
  type TypingOptions,
  typeAgain,
} from "./transcript.ts";

/** The major version of the CLI whose texts were recorded. */
const recordedMajor = 28;
const transcriptTimeoutMs = 120_000;

const transcripts: readonly RecordingName[] = ["01", "02", "03", "11"];
const ofPlugins: readonly RecordingName[] = ["06", "07", "13"];

/** Skipped by name where the CLI is another one: its texts and flags are not those recorded. */
function withRecordedCli(
  requirements: readonly Requirement[],
  name: string,
  run: () => Promise<void>,
): void {
  const said = spawnSync("docker", ["--version"], { encoding: "utf8" }).stdout ?? "";
  const major = Number(/version (\d+)\./.exec(said)?.[1] ?? 0);
  if (major === recordedMajor) {
    whenPossible(requirements, name, run, transcriptTimeoutMs);
    return;
  }
  const why = `the docker CLI is ${major || "missing"}, recorded was ${recordedMajor}`;
  skipLoudly(name, why, run);
}

interface Typing {
  readonly kind: EngineKind;
  readonly recordings: readonly RecordingName[];
  readonly options: Omit<TypingOptions, "configFolder">;
}

/** The commands of an explained exchange are not typed: a prune must be, for what comes after. */
const explained = explainedForHoldfast.filter(
  ({ why }) => !("deviation" in why) || why.deviation !== deviationHeadings.laterSpace,
);

const typings: readonly Typing[] = [
  { kind: holdfastWithoutTrash, recordings: transcripts, options: { explained } },
  { kind: holdfastWithPlugins, recordings: ofPlugins, options: { explained } },
  {
    kind: dockerd,
    recordings: transcripts.filter((one) => recordings[one].api === "1.41"),
    options: {
      explained: [],
      without: [{ reason: "dockerd looks 15 s for an unknown driver", line: /-d nosuch/ }],
    },
  },
];

for (const typing of typings) {
  describe(`the docker CLI prints on ${typing.kind.name} what was recorded`, () => {
    const reports: TranscriptReport[] = [];
    for (const recording of typing.recordings) {
      withRecordedCli(typing.kind.requirements, `recording ${recording}`, async () => {
        const report = await transcribe(typing, recording);
        reports.push(report);
        expect(report.problems).toEqual([]);
      });
    }
    afterAll(() => console.log(`transcript on ${typing.kind.name}: ${summary(reports)}`));
  });
}

async function transcribe(typing: Typing, recording: RecordingName): Promise<TranscriptReport> {
  const folder = temporaryDirectory();
  try {
    await using engine = await typing.kind.start();
    const configFolder = join(folder, "config");
    const options = { ...typing.options, configFolder };
    return await typeAgain(recording, loadCommands(recording), engine, options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function summary(reports: readonly TranscriptReport[]): string {
  const compared = reports.reduce((sum, report) => sum + report.compared, 0);
  const counts = new Map<string, number>();
  for (const [reason, count] of reports.flatMap((report) => [...report.leftOut])) {
    counts.set(reason, (counts.get(reason) ?? 0) + count);
  }
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const reasons = [...counts].map(([reason, count]) => `${count} × ${reason}`).join("; ");
  return `${compared} commands compared, ${total} left out (${reasons})`;
}

test("a command that prints or ends otherwise is reported", () => {
  const command = loadCommands("01").find(({ line }) => line === "docker volume create v1");
  if (command === undefined) throw new Error("the recording has no such command");
  const { exit, stdout, stderr } = command;
  const reading = { root: "/r", places: [] };
  expect(printedDifferently(command, { exit, stdout, stderr }, reading)).toEqual([]);
  const changed = { exit: 2, stdout: "v2\n", stderr: "?" };
  expect(printedDifferently(command, changed, reading)).toHaveLength(3);
});

test("a recorded line is taken apart without a shell", () => {
  expect(parseLine("docker volume create -d '' v5").words).toEqual([
    "docker",
    "volume",
    "create",
    "-d",
    "",
    "v5",
  ]);
  expect(parseLine("printf 'y\\n' | docker volume prune --filter label!=a")).toEqual({
    words: ["docker", "volume", "prune", "--filter", "label!=a"],
    input: "y\n",
  });
});
