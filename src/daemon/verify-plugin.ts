// `holdfast verify plugin NAME|SOCKET`: a volume plugin, the checks of Docker's protocol, and those
// of a driver that it can keep.
import { tmpdir } from "node:os";
import path from "node:path";
import type { VerifyPluginRequest, VerifyReport } from "../cli/verify.ts";
import { brokenOnes, type CheckOutcome, runChecks } from "../conformance/check.ts";
import { openPluginBench, type PluginBenchParts } from "../conformance/plugin-bench.ts";
import { pluginAdvice, pluginChecks } from "../conformance/plugin-checks.ts";
import { applicableLines, tally, verifyDriver } from "../conformance/verify.ts";
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { makeOperationId } from "../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../core/operation.ts";
import { linuxHost } from "../host/linux.ts";
import { withDeadlines } from "../layers/deadline.ts";
import { makePluginHost, type RunningPluginHost } from "../plugins/plugin-host.ts";
import { openBenchFiles } from "./bench-files.ts";
import { readConfig } from "./config.ts";
import { findPluginTarget, type PluginTarget, rawCaller } from "./plugin-target.ts";
import { mayStillRun, promiseOf } from "./verify.ts";
import { VerifyPlaces } from "./verify-places.ts";

/** How long the plugin may take to answer for the first time, in milliseconds. */
const READY_MS_MAX = 15_000;

/** How a check words it (src/conformance/plugin-bench.ts). */
const CREATE_FAILS = "Create must succeed, but it fails";

/** What one run has found. */
interface PluginOutcomes {
  readonly name: string;
  /** What it must do, what it should do, and what follows from both. */
  readonly must: readonly CheckOutcome[];
  readonly should: readonly CheckOutcome[];
  /** undefined: mounts need root, and who runs this is not. */
  readonly driver: readonly CheckOutcome[] | undefined;
  readonly leftBehind: readonly string[];
}

/**
 * Checks a plugin that runs, with volumes of its own making, which it removes again: what cannot be
 * removed is named. Throws `plugin.not_found`, `plugin.disabled`, `plugin.unreachable`.
 */
export async function verifyPlugin(
  request: VerifyPluginRequest,
  host: Host = linuxHost(),
): Promise<VerifyReport> {
  const places = new VerifyPlaces(host);
  let mayStillMount = false;
  let outcomes: PluginOutcomes | undefined;
  let leftPlaces: readonly string[] = [];
  try {
    outcomes = await runAll(request, { host, scratch: places.make(tmpdir()) });
    mayStillMount = [...outcomes.must, ...(outcomes.driver ?? [])].some(mayStillRun);
  } finally {
    leftPlaces = await places.remove({ mayStillMount });
  }
  const leftBehind = [...outcomes.leftBehind, ...leftPlaces];
  return reportOf({ ...outcomes, leftBehind }, request.options);
}

interface Stage {
  readonly host: Host;
  /** An empty directory of ours. */
  readonly scratch: string;
}

async function runAll(request: VerifyPluginRequest, stage: Stage): Promise<PluginOutcomes> {
  const { scratch, host } = stage;
  const userId = process.getuid?.() ?? 0;
  // Where Docker looks, whoever asks here.
  const { plugins } = readConfig({ args: [], environment: process.env, userId });
  const usual = readConfig({ args: [], environment: {}, userId: 0 }).plugins;
  const directories = plugins.sockets === undefined ? usual : plugins;
  const target = await findPluginTarget(request, { directories, scratch });
  const leftBehind: string[] = [];
  const isHere = target.address.kind === "unix" && target.endpoint === undefined;
  const parts: PluginBenchParts = {
    call: rawCaller(target.address),
    // A managed plugin's paths are those inside of it: its driver knows the way.
    files: isHere && userId === 0 ? openBenchFiles(path.join(scratch, "raw")) : undefined,
    options: request.options,
    randomHex: host.randomHex,
    leftBehind: (what) => leftBehind.push(what),
  };
  const must = await runChecks(pluginChecks, () => openPluginBench(parts));
  const should = await runChecks(pluginAdvice, () => openPluginBench(parts));
  const driver = userId === 0 ? await runDriver(target, request.options, stage) : undefined;
  leftBehind.push(...(driver?.leftBehind ?? []));
  return { name: target.name, must, should, driver: driver?.outcomes, leftBehind };
}

/** The plugin as the daemon would use it, with mounts in a directory of ours. */
async function runDriver(
  target: PluginTarget,
  options: Readonly<Record<string, string>>,
  { host, scratch }: Stage,
) {
  const { directories, endpoint, name } = target;
  const plugins = makePluginHost({
    directories,
    ownSockets: [],
    managed: endpoint && { endpoints: () => [endpoint], followEndpoints: () => () => undefined },
    mountsDirectory: path.join(scratch, "mounts"),
    host,
    wrap: (driver) => withDeadlines(driver, { monotonicMs: host.monotonicMs }),
    operation: verifyOperation,
    log: silentLog,
  });
  plugins.start();
  try {
    const driver = await readyDriver(plugins, name);
    const files = openBenchFiles(path.join(scratch, "outside"));
    return await verifyDriver(driver, {
      files,
      optionSets: [options],
      randomHex: host.randomHex,
    });
  } finally {
    await plugins.stop();
  }
}

async function readyDriver(plugins: RunningPluginHost, name: string): Promise<VolumeDriver> {
  const { promise: changed, resolve } = Promise.withResolvers<void>();
  const look = () => {
    const state = plugins.status(name)?.state;
    if (state === "ready" || state === "unreachable") resolve();
  };
  const unfollow = plugins.follow(look);
  const timer = setTimeout(resolve, READY_MS_MAX);
  await plugins.lookAgain();
  look();
  await changed;
  clearTimeout(timer);
  unfollow();
  const status = plugins.status(name);
  const driver = plugins.driver(name);
  if (driver !== undefined && status?.state === "ready") return driver;
  const why = status?.reason || "it does not answer";
  throw new EngineError("plugin.unreachable", `plugin ${name} cannot be used: ${why}`);
}

function verifyOperation(): Operation {
  const { signal } = new AbortController();
  return { id: makeOperationId("verify-plugin"), caller: systemCaller, signal, log: silentLog };
}

/** What to do where hardly anything could be checked: many plugins make nothing without options. */
function adviceOn(
  outcomes: readonly CheckOutcome[],
  options: Readonly<Record<string, string>>,
): readonly string[] {
  const broken = brokenOnes(outcomes);
  const uncreated = broken.filter(({ error }) => String(error).includes(CREATE_FAILS));
  if (Object.keys(options).length > 0 || uncreated.length * 2 <= broken.length) return [];
  const advice =
    "Most checks had no volume: where Create wants options, give them with -o KEY=VALUE.";
  return [advice, ""];
}

function reportOf(
  { name, must, should, driver, leftBehind }: PluginOutcomes,
  options: Readonly<Record<string, string>>,
): VerifyReport {
  const all = [...must, ...(driver ?? [])];
  const notFollowed = brokenOnes(should).length;
  const lines = [
    "What a plugin must do",
    ...applicableLines(must),
    "",
    "What it should do",
    ...applicableLines(should).map((line) => line.replace(/^BROKEN/, "NOT SO")),
    "",
    "What it promises as a driver of Holdfast",
    ...(driver === undefined ? ["not checked: that needs root"] : applicableLines(driver)),
    "",
    ...adviceOn(must, options),
    `plugin ${name}: ${tally(all)}; ${notFollowed} of ${should.length} wishes not met`,
    ...leftBehind.map((what) => `left behind: ${what}`),
  ];
  return {
    isWhole: brokenOnes(all).length === 0 && leftBehind.length === 0,
    text: `${lines.join("\n")}\n`,
    leftBehind,
    promises: [
      ...all.map(promiseOf),
      ...should.map((outcome) => ({ ...promiseOf(outcome), isAdvice: true as const })),
    ],
  };
}
