// kill -9 of the daemon, of the plugin and of the programs that a plugin's verb runs, at each of
// them: run in a mount namespace of its own, with a seed and how many strikes there are to be;
// "all" are all that there can be. Prints a report; what is wrong is thrown.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { gzipSync } from "node:zlib";
import { type Ended, runToEnd } from "../support/child.ts";
import { startFaultRegistry } from "../support/fault-registry.ts";
import { PluginHouse } from "../support/plugin-house.ts";
import { makePluginRootfs } from "../support/plugin-rootfs.ts";
import { ProgramSteps, type Strike } from "../support/program-steps.ts";
import { Random } from "../support/random.ts";

/** Whether it is enabled, and its version; undefined: it is not installed. */
type State = readonly [isEnabled: boolean, tag: string] | undefined;

interface Verb {
  readonly name: string;
  readonly words: readonly string[];
  readonly before: State;
  readonly after: State;
  /** What a refusal may have led to, besides. */
  readonly instead?: State;
}

const kinds: readonly Omit<Strike, "at">[] = [
  { moment: "before", victim: "daemon" },
  { moment: "after", victim: "daemon" },
  { moment: "before", victim: "self" },
  { moment: "after", victim: "self" },
  { moment: "after", victim: "plugin" },
];

await using house = new PluginHouse();
await using registry = await startFaultRegistry();
const steps = new ProgramSteps(
  join(house.folder, "steps"),
  join(house.runDirectory, "bundles/*/pid"),
);

const remote = (tag: string) => `${registry.host}/vp:${tag}`;
const grant = "--grant-all-permissions";
const from = ["--skip-remote-check", grant, "vp"];

/** In an order in which each begins where the one before has ended. */
const verbs: readonly Verb[] = [
  {
    name: "install",
    words: ["install", grant, "--disable", "--alias", "vp", remote("v1")],
    before: undefined,
    after: [false, "v1"],
  },
  { name: "enable", words: ["enable", "vp"], before: [false, "v1"], after: [true, "v1"] },
  { name: "disable", words: ["disable", "vp"], before: [true, "v1"], after: [false, "v1"] },
  {
    name: "upgrade",
    words: ["upgrade", ...from, remote("v2")],
    before: [false, "v1"],
    after: [false, "v2"],
  },
  {
    name: "enable of another version",
    words: ["enable", "vp"],
    before: [false, "v2"],
    after: [true, "v2"],
    // A new version that does not start is taken back.
    instead: [false, "v1"],
  },
  { name: "remove", words: ["rm", "--force", "vp"], before: [true, "v2"], after: undefined },
];

async function publish(tag: string): Promise<void> {
  const made = join(house.folder, tag);
  const { rootfs, configPath } = await makePluginRootfs(made, "propagated", { description: tag });
  const packed = join(made, "layer.tar");
  await runToEnd("tar", ["-C", rootfs, "-cf", packed, "."], { timeoutMs: 30_000 });
  const layer = gzipSync(readFileSync(packed), { level: 1 });
  registry.add({ path: "vp", tag }, [layer], readFileSync(configPath));
}

function state(): State {
  const [record] = house.records();
  if (record === undefined) return undefined;
  return [record.isEnabled, record.version.reference.replace(/.*:/, "")];
}

/** Brings it to where a verb begins. */
async function reach(wanted: State): Promise<void> {
  for (let count = 0; count < verbs.length && !isDeepStrictEqual(state(), wanted); count++) {
    const name = nextVerb(state(), wanted);
    const verb = verbs.find((one) => one.name === name);
    await house.docker("plugin", ...(verb?.words ?? [name, "vp"]));
  }
  if (!isDeepStrictEqual(state(), wanted)) throw new Error(`${wanted} is not reached: ${state()}`);
}

function nextVerb(now: State, wanted: State): string {
  if (now === undefined) return "install";
  const [isEnabled, tag] = now;
  if (wanted === undefined || (wanted[1] === "v1" && tag === "v2")) return "remove";
  if (wanted[1] === tag) return wanted[0] ? "enable" : "disable";
  return isEnabled ? "disable" : "upgrade";
}

/** False: the verb ran fewer programs. */
async function strikeAt(verb: Verb, strike: Strike): Promise<boolean> {
  await reach(verb.before);
  await house.becomesWhole(`before ${verb.name}`);
  house.records();
  steps.arm(strike, house.daemon.pid);
  const ended = await house.run("plugin", ...verb.words);
  const { hasStruck } = steps;
  const [told] = [steps.steps[strike.at - 1] ?? ""];
  steps.arm(undefined, 0);
  const isDaemonDead = strike.victim === "daemon" && hasStruck;
  if (isDaemonDead) {
    await house.daemon.kill();
    await house.start();
  }
  const { at, moment, victim } = strike;
  const when = `${victim} killed ${moment} step ${at} of ${verb.name}: ${told.slice(0, 200)}`;
  await house.becomesWhole(when);
  check(verb, { ended, when, isSure: !isDaemonDead && victim !== "plugin" });
  return hasStruck;
}

function check(
  { before, after, instead }: Verb,
  about: { readonly ended: Ended; readonly when: string; readonly isSure: boolean },
): void {
  const { ended, when, isSure } = about;
  const { exit, stdout, stderr } = ended;
  const allowed = exit === 0 ? [after] : [before, after];
  if (exit !== 0 && instead !== undefined) allowed.push(instead);
  if (!allowed.some((one) => isDeepStrictEqual(one, state()))) {
    throw new Error(`${when}: ${exit} ${stdout} ${stderr}: it is ${state()}`);
  }
  // Whoever was refused has been told why.
  if (isSure && exit !== 0 && stderr.trim() === "") throw new Error(`${when}: no word of it`);
}

/** How many programs each verb runs. */
async function countSteps(): Promise<readonly number[]> {
  const counts: number[] = [];
  for (const verb of verbs) {
    await reach(verb.before);
    steps.arm(undefined, 0);
    await house.docker("plugin", ...verb.words);
    await house.becomesWhole(verb.name);
    counts.push(steps.steps.length);
    for (const step of steps.steps) console.error(`${verb.name}: ${step.slice(0, 120)}`);
  }
  return counts;
}

async function main(): Promise<void> {
  const [, , seed = "1", wanted = "all"] = process.argv;
  const random = new Random(Number(seed));
  for (const tag of ["v1", "v2"]) await publish(tag);
  for (const name of ["conmon", "runc", "setpriv", "umount"] as const) await steps.stand(name);
  await house.start();
  const counts = await countSteps();
  const all = verbs.flatMap((verb, index) =>
    Array.from({ length: counts[index] ?? 0 }, (_, step) => step + 1).flatMap((at) =>
      kinds.map((kind) => ({ verb, strike: { ...kind, at } })),
    ),
  );
  const count = wanted === "all" ? all.length : Math.min(Number(wanted), all.length);
  // A part of them, in the order of the verbs: little has to be done in between.
  const left = [...all];
  while (left.length > count) left.splice(random.below(left.length), 1);
  let struckCount = 0;
  for (const { verb, strike } of left) {
    if (await strikeAt(verb, strike)) struckCount += 1;
  }
  console.log(JSON.stringify({ counts, possible: all.length, done: left.length, struckCount }));
}

await main();
