// Replays every recorded volume exchange that needs no container, and compares answer by answer.
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { whenPossible } from "../support/needs.ts";
import { type Comparable, comparable, differences } from "./comparable.ts";
import {
  dockerd,
  dockerdWithPlugins,
  type EngineKind,
  holdfast,
  holdfastWithPlugins,
} from "./engines.ts";
import { deviationHeadings, type Explained, explainedForHoldfast, isAbout } from "./explained.ts";
import {
  type Exchange,
  loadExchanges,
  pluginRecordings,
  recordingNames,
  recordings,
} from "./recordings.ts";
import { applied, type ReplayPlan, type ReplayReport, replay } from "./replay.ts";
import {
  doneBefore,
  type LeaveOut,
  leaveOut,
  leaveOutOfRegistries,
  ruleFor,
  seededFrom,
  standIns,
} from "./selection.ts";

const replayTimeoutMs = 60_000;

/** An engine that asks nobody for longer than this keeps every recorded request. */
const answerTimeoutMs = 2_000;

/** A plugin whose socket never comes is waited for as long as dockerd waits. */
const waitsForSocket = /^07#109 POST .*\/bad:nosock\/enable/;

const pluginPlan: ReplayPlan = {
  leaveOut,
  standIns,
  seededFrom,
  before: doneBefore,
  explained: explainedForHoldfast,
};

const holdfastPlan: ReplayPlan = {
  ...{ standIns, seededFrom },
  explained: explainedForHoldfast.filter((entry) => !isOfRegistry(entry)),
  leaveOut: [...leaveOut, ...leaveOutOfRegistries],
};

/** The real engine makes its own client wait; that wait is measured in the benchmark. */
const waitsLong: LeaveOut = {
  reason: "dockerd looks 15 s for an unknown driver",
  recording: "01",
  indexes: [21],
};

const ofPlugins: LeaveOut = { reason: "a plugin exchange", request: /^\w+ \/plugins/ };

const dockerdPlan: ReplayPlan = {
  leaveOut: [...leaveOut, waitsLong, ofPlugins],
  standIns,
  seededFrom,
  explained: [],
};

/** dockerd shows at once what it has, and forgets a volume that its plugin did not remove. */
const dockerdPluginPlan: ReplayPlan = {
  ...{ leaveOut, seededFrom, before: doneBefore, explained: [] },
  standIns: standIns.filter(({ recording }) => recording !== "06"),
};

describe("Holdfast answers as recorded", () => {
  const reports: ReplayReport[] = [];
  const plain = recordingNames.filter((name) => !pluginRecordings.has(name));
  const withPlugins = recordingNames.filter((name) => doneBefore[name] !== undefined);
  const runs = [
    ...plain.map((name) => ({ name, kind: holdfast, plan: holdfastPlan, how: "" })),
    ...["06" as const, ...withPlugins].map((name) => ({
      ...{ name, kind: holdfastWithPlugins, plan: pluginPlan, how: ", with a registry" },
    })),
  ];
  for (const { name, kind, plan, how } of runs) {
    whenPossible(
      kind.requirements,
      `recording ${name}: ${recordings[name].file}${how}`,
      async () => {
        const report = await replayOn(kind, loadExchanges(name), plan);
        reports.push(report);
        expect(report.problems).toEqual([]);
        const slow = report.slow.filter(({ tookMs }) => tookMs > answerTimeoutMs);
        expect(slow.filter(({ where }) => !waitsForSocket.test(where))).toEqual([]);
      },
      replayTimeoutMs,
    );
  }
  afterAll(() => console.log(summary("replay", reports)));
});

describe("the engine of the recordings with API 1.41 answers as recorded", () => {
  const reports: ReplayReport[] = [];
  const old = recordingNames.filter((name) => recordings[name].api === "1.41");
  const plain = old.filter((name) => !pluginRecordings.has(name));
  const withPlugins = old.filter((name) => pluginRecordings.has(name) || name === "20");
  const runs = [
    ...plain.map((name) => ({ name, kind: dockerd, plan: dockerdPlan, how: "" })),
    ...withPlugins.map((name) => ({
      ...{ name, kind: dockerdWithPlugins, plan: dockerdPluginPlan, how: ", with a registry" },
    })),
  ];
  for (const { name, kind, plan, how } of runs) {
    whenPossible(
      kind.requirements,
      `recording ${name}: ${recordings[name].file}${how}`,
      async () => {
        const report = await replayOn(kind, loadExchanges(name), plan);
        reports.push(report);
        expect(report.problems).toEqual([]);
        expect(report.explained).toEqual([]);
      },
      replayTimeoutMs,
    );
  }
  afterAll(() => console.log(summary("replay on dockerd", reports)));
});

describe("the tables of the replay", () => {
  test("every general rule leaves something out", () => {
    const all = recordingNames.flatMap(loadExchanges);
    const idle = leaveOut.filter((rule) => !all.some((one) => ruleFor([rule], one) !== undefined));
    expect(idle).toEqual([]);
  });

  test("every quirk of recording 20 expects what recording 21 has", () => {
    const newer = loadExchanges("21");
    for (const exchange of loadExchanges("20")) {
      const entry = explainedForHoldfast.find(
        (one) => "quirk" in one.why && isAbout(one, exchange),
      );
      const reference = newer[exchange.index];
      if (entry === undefined || reference === undefined) continue;
      const wanted = withoutIds(comparable(reference.answer, reference.request.path));
      const recorded = withoutIds(comparable(exchange.answer, exchange.request.path));
      // The two engines had different volumes: lists of them cannot be compared.
      if (recorded.body.includes('"Volumes":[')) continue;
      expect(differences(withoutIds(applied(entry.expect, recorded, wanted)), wanted)).toEqual([]);
    }
  });

  test("every deviation has its entry in docs/deviations.md", () => {
    const page = readFileSync(resolve(import.meta.dir, "../../docs/deviations.md"), "utf8");
    const headings = page.split("\n").map((line) => line.replace(/^#+ /, ""));
    for (const heading of Object.values(deviationHeadings)) expect(headings).toContain(heading);
  });
});

function isOfRegistry({ why }: Explained): boolean {
  return "deviation" in why && why.deviation === deviationHeadings.privilegesFirst;
}

/** Without generated names: each recording has its own. */
function withoutIds(one: Comparable): Comparable {
  return { ...one, body: one.body.replaceAll(/\b[0-9a-f]{64}\b/g, "0".repeat(64)) };
}

async function replayOn(
  kind: EngineKind,
  exchanges: readonly Exchange[],
  plan: ReplayPlan,
): Promise<ReplayReport> {
  await using engine = await kind.start();
  return await replay(exchanges, engine, plan);
}

/** `replay: N exchanges compared, M left out (reasons), K explained differences`. */
function summary(title: string, reports: readonly ReplayReport[]): string {
  const sum = (count: (report: ReplayReport) => number) =>
    reports.reduce((total, report) => total + count(report), 0);
  const reasons = new Map<string, number>();
  for (const [reason, count] of reports.flatMap((report) => [...report.leftOut])) {
    reasons.set(reason, (reasons.get(reason) ?? 0) + count);
  }
  const total = [...reasons.values()].reduce((all, count) => all + count, 0);
  const why = [...reasons].map(([reason, count]) => `${count} × ${reason}`).join("; ");
  const compared = sum((report) => report.compared);
  const pings = sum((report) => report.pings);
  const lines = reports.flatMap((report) => report.explained);
  const inPings = lines.filter((line) => line.includes("/_ping:")).length;
  return (
    `${title}: ${compared} exchanges compared (${pings} of them _ping), ` +
    `${total} left out (${why}), ` +
    `${lines.length} explained differences (${inPings} of them in _ping)`
  );
}
