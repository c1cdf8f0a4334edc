// Rows for socket plugins: lists while some of them are dead, and what an engine adds to a call.
import { setTimeout as pause } from "node:timers/promises";
import { testImage } from "../../test/support/test-image.ts";
import { called } from "../calls.ts";
import { measureRounds, type Step, type StepFigures } from "../measure.ts";
import { type PluginEngines, startPluginEngines } from "../plugin-engines.ts";
import type { PluginServer, ServerMode } from "../plugin-servers.ts";
import { type FigureTable, type Group, type Row, type RowPlan, rowFrom } from "../rows.ts";
import { quantile, summarise } from "../statistics.ts";
import type { Workbench } from "../workbench.ts";

const HEALTHY = 10;
/** What becomes of plugins that worked while their volumes became known. */
const ends: readonly ServerMode[] = ["dead", "dead", "hangs", "hangs", "trickles"];
const VOLUMES = 5000;
const VOLUMES_OF_DEAD = 100;
/** How long volumes of plugins may take to be listed. */
const KNOWN_MS_MAX = 60_000;
/** dockerd's list is given up on after this: a plugin that trickles may keep it for ever. */
const DOCKERD_LIST_MS_MAX = 60_000;
const PLUGIN = "fast";

const lists = { unit: "ms", judged: "figure", target: { bound: "at_most", value: 100 } } as const;
const how =
  `${HEALTHY} socket plugins have ${VOLUMES - ends.length * VOLUMES_OF_DEAD} volumes, five more ` +
  `have ${VOLUMES_OF_DEAD} each and die when all are known: two sockets refuse, two plugins take ` +
  "connections and say nothing, one answers a byte each 20 ms and never ends.";

const list: RowPlan = {
  ...lists,
  id: "plugins-list",
  work: "list of 5,000 volumes of plugins, five of 15 plugins dead, 99 of 100",
  against: "reference",
  how:
    `${how} \`GET /volumes\` from one connection, without pause; the figure is the 99th ` +
    "percentile of a burst. dockerd is asked once, and given up on after " +
    `${DOCKERD_LIST_MS_MAX / 1000} s.`,
};

const listProcess: RowPlan = {
  ...lists,
  id: "plugins-ls",
  work: "the same as a whole process `volume ls`, 99 of 100",
  against: "nothing",
  how: "The same plugins; the time of `holdfast volume ls`, from its start to its end.",
};

const added = {
  unit: "µs",
  judged: "ratio",
  target: { bound: "at_most", value: 0.5 },
  against: "reference",
} as const;
const own =
  "The plugin is a small server in C. What it needs itself is measured in the same round, by the " +
  "same calls at its own socket, and taken off both engines' medians.";

const create: RowPlan = {
  ...added,
  id: "plugins-create",
  work: "create through a plugin, time added to the plugin's own",
  how: `\`POST /volumes/create\` with the plugin as driver, one connection. ${own}`,
  whyMissed:
    "Both engines put the volume on disk before they answer, and that one sync (fdatasync of the " +
    "log: 0.2 to 0.4 ms) alone takes what the target allows. The rest is the plugin's two calls " +
    "and a row that says that the volume is being made, which is not synced.",
};

const mount: RowPlan = {
  ...added,
  id: "plugins-mount",
  work: "mount and unmount through a plugin, time added to the plugin's own",
  how:
    "Holdfast: `PUT` and `DELETE` of a holder at its own API, each on disk before it answers. " +
    "dockerd has no such call: the shortest way is `HEAD /containers/<name>/archive?path=/data` " +
    "of a container that is not started, which mounts its file system and the volume, looks and " +
    `unmounts both; nothing is written down. ${own}`,
  whyMissed:
    "Who has a volume is on disk before its path is answered, and again when it is given back: " +
    "two syncs of 0.2 to 0.4 ms, which dockerd does without; it forgets its counts when it ends. " +
    "A note beside the mount point, for what a plugin may count after a crash, takes 0.1 ms more.",
};

const mountAlone: RowPlan = {
  ...added,
  id: "plugins-mount-alone",
  work: "the same, without what dockerd needs for a container that has no volume",
  how:
    "From dockerd's time the same call of a container without volumes is taken off as well: what " +
    "is left are two calls of the plugin, a bind mount and its end, and no record on disk. " +
    "Holdfast's figure is the one above, with its two commits. A figure without a target, for " +
    "the difference.",
};

const { target: _none, ...figureOnly } = mountAlone;
const mountAloneFigure: RowPlan = figureOnly;

/** All volumes are known to Holdfast, then five plugins die. */
async function prepareLists({ plugins, holdfast }: PluginEngines): Promise<void> {
  const dying: PluginServer[] = [];
  for (let index = 0; index < HEALTHY + ends.length; index++) {
    const isDying = index >= HEALTHY;
    const server = await plugins.start(`${isDying ? "d" : "p"}${index}`);
    const ofHealthy = (VOLUMES - ends.length * VOLUMES_OF_DEAD) / HEALTHY;
    await server.fill(isDying ? VOLUMES_OF_DEAD : ofHealthy);
    if (isDying) dying.push(server);
  }
  const untilMs = performance.now() + KNOWN_MS_MAX;
  for (let known = 0; known < VOLUMES; await pause(200)) {
    if (performance.now() > untilMs) throw new Error(`only ${known} volumes are known`);
    const { text } = await called({ ...holdfast, method: "GET", path: "/volumes" });
    known = text.split('"Name":').length - 1;
  }
  for (const [index, mode] of ends.entries()) await dying[index]?.become(mode);
}

async function measureLists(
  workbench: Workbench,
  engines: PluginEngines,
): Promise<{ readonly rows: readonly Row[] }> {
  const { tools, sizes, signal, executable = "" } = workbench;
  const { socket } = engines.holdfast;
  await prepareLists(engines);
  const command = [executable, "volume", "ls"];
  const environment = { HOLDFAST_HOST: `unix://${socket}` };
  const figures = await measureRounds({
    subjects: [engines.holdfast],
    rounds: sizes.rounds,
    signal,
    steps: [
      {
        name: list.id,
        async measure({ name: engine }, round) {
          const amount = { count: sizes.plugins.lists };
          const one = { mode: "list", socket, connections: 1, prefix: "p" } as const;
          const load = await tools.burst({ ...one, amount, expect: VOLUMES });
          if (round >= 0) workbench.note({ work: list.work, engine, load });
          return load.latencyMs.p99;
        },
      },
      {
        name: listProcess.id,
        async measure() {
          const times: number[] = [];
          for (let left = sizes.plugins.processes; left > 0; left--) {
            const timed = { command, environment, linesMin: VOLUMES + 1 };
            times.push((await tools.timeProcess(timed)).wallMs);
          }
          return quantile(times.toSorted(ascending), 0.99);
        },
      },
    ],
  });
  const dockerdMs = await dockerdListMs(engines);
  const own = figures.get(list.id);
  const paired: StepFigures | undefined =
    own?.outcome === "measured"
      ? { outcome: "measured", perSubject: [own.perSubject[0] ?? [], [dockerdMs]] }
      : own;
  return { rows: [rowFrom(list, paired), rowFrom(listProcess, figures.get(listProcess.id))] };
}

async function dockerdListMs({ dockerd }: PluginEngines): Promise<number> {
  const startedMs = performance.now();
  const signal = AbortSignal.timeout(DOCKERD_LIST_MS_MAX);
  try {
    const reply = await fetch("http://docker/volumes", { unix: dockerd.socket, signal });
    await reply.arrayBuffer();
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return performance.now() - startedMs;
}

/** Who is asked for what, as one operation. */
interface Way {
  readonly name: string;
  readonly socket: string;
  readonly calls: readonly string[];
}

async function prepareCalls(engines: PluginEngines): Promise<PluginServer> {
  const { plugins, holdfast, dockerd } = engines;
  const server = await plugins.start(PLUGIN);
  const make = (engine: { readonly socket: string }, path: string, body: object) =>
    called({ socket: engine.socket, method: "POST", path, body });
  // It waits for a plugin that was just put there.
  await make(holdfast, "/volumes/create", { Name: "ha", Driver: PLUGIN });
  await make(holdfast, "/volumes/create", { Name: "local" });
  await make(dockerd, "/volumes/create", { Name: "db", Driver: PLUGIN });
  await make(dockerd, "/volumes/create", { Name: "local" });
  for (const [name, Binds] of Object.entries({
    none: [],
    local: ["local:/data"],
    db: ["db:/data"],
  })) {
    await make(dockerd, `/containers/create?name=${name}`, {
      Image: testImage,
      Cmd: ["true"],
      HostConfig: { NetworkMode: "none", Binds },
    });
  }
  return server;
}

/** The ways to create, the plugin's own first. */
function createWays({ holdfast, dockerd }: PluginEngines, { socket }: PluginServer): Way[] {
  const made = (prefix: string) =>
    `POST /volumes/create {"Name":"${prefix}-@","Driver":"${PLUGIN}"}`;
  const asked = ["Get", "Create"].map((call) => `POST /VolumeDriver.${call} {"Name":"o-@"}`);
  return [
    { name: "the plugin itself", socket, calls: asked },
    { ...holdfast, calls: [made("h")] },
    { ...dockerd, calls: [made("d")] },
  ];
}

function mountWays({ holdfast, dockerd }: PluginEngines, { socket }: PluginServer): Way[] {
  const asked = ["Mount", "Unmount"].map(
    (call) => `POST /VolumeDriver.${call} {"Name":"ha","ID":"o-@"}`,
  );
  const held = (volume: string) =>
    ["PUT", "DELETE"].map((method) => `${method} /holdfast/v1/volumes/${volume}/holders/h-@`);
  const looked = (container: string) => [`HEAD /containers/${container}/archive?path=/data`];
  return [
    { name: "the plugin itself", socket, calls: asked },
    { ...holdfast, calls: held("ha") },
    { ...dockerd, calls: looked("db") },
    { ...dockerd, name: `${dockerd.name}, without a volume`, calls: looked("none") },
    { ...dockerd, name: `${dockerd.name}, a volume of its own`, calls: looked("local") },
    { ...holdfast, name: `${holdfast.name}, a volume of its own`, calls: held("local") },
  ];
}

/** Medians of one operation in µs, by way. */
async function measureWays(
  workbench: Workbench,
  ways: readonly Way[],
  id: string,
): Promise<readonly (readonly number[])[]> {
  const { sizes, tools, signal } = workbench;
  const step: Step<Way> = {
    name: id,
    async measure({ socket, calls }, round) {
      const count = sizes.plugins.calls;
      const first = (round + 2) * count;
      const one = { mode: "calls", connections: 1, prefix: "p" } as const;
      const load = await tools.burst({ ...one, socket, calls, amount: { count }, first });
      return load.latencyMs.p50 * 1000;
    },
  };
  const plan = { subjects: ways, rounds: sizes.rounds, signal, steps: [step] };
  const figures = (await measureRounds(plan)).get(id);
  if (figures?.outcome !== "measured") throw new Error(figures?.reason ?? "it was not measured");
  return figures.perSubject;
}

/** Round by round, one series less others. */
function less(
  series: readonly number[] = [],
  ...others: readonly (readonly number[] | undefined)[]
) {
  return series.map((figure, round) =>
    others.reduce((left, other) => left - (other?.[round] ?? Number.NaN), figure),
  );
}

async function measureCalls(
  workbench: Workbench,
  engines: PluginEngines,
): Promise<{ readonly rows: readonly Row[]; readonly tables: readonly FigureTable[] }> {
  const server = await prepareCalls(engines);
  const createdBy = createWays(engines, server);
  const [own, holdfast, dockerd] = await measureWays(workbench, createdBy, create.id);
  const before = await server.counts();
  const mountedBy = mountWays(engines, server);
  const mounts = await measureWays(workbench, mountedBy, mount.id);
  await refuseUncounted(workbench, before, await server.counts());
  const [ownMount, byHoldfast, byDockerd, withoutVolume] = mounts;
  const measured = (...perSubject: readonly (readonly number[])[]) =>
    ({ outcome: "measured", perSubject }) as const;
  const mountedAdded = less(byHoldfast, ownMount);
  const alone = less(byDockerd, ownMount, withoutVolume);
  const lines = (work: string, ways: readonly Way[], figures: readonly (readonly number[])[]) =>
    ways.map(({ name }, index) => {
      const { median, lowerQuartile, upperQuartile } = summarise(figures[index] ?? []);
      return [work, name, ...[median, lowerQuartile, upperQuartile].map((each) => each.toFixed(0))];
    });
  return {
    rows: [
      rowFrom(create, measured(less(holdfast, own), less(dockerd, own))),
      rowFrom(mount, measured(mountedAdded, less(byDockerd, ownMount))),
      rowFrom(mountAloneFigure, measured(mountedAdded, alone)),
    ],
    tables: [
      {
        title: "Calls through a plugin",
        note: "Medians and quartiles over the rounds of the time of one operation, in µs, whole.",
        columns: ["work", "by", "median", "lower quartile", "upper quartile"],
        lines: [
          ...lines("create", createdBy, [own ?? [], holdfast ?? [], dockerd ?? []]),
          ...lines("mount and unmount", mountedBy, mounts),
        ],
      },
    ],
  };
}

type Counts = Awaited<ReturnType<PluginServer["counts"]>>;

/** Three of the ways to mount ask the plugin, each once for each operation. */
async function refuseUncounted({ sizes }: Workbench, before: Counts, after: Counts): Promise<void> {
  const expected = 3 * (sizes.rounds + 1) * sizes.plugins.calls;
  const seen = [after.mounts - before.mounts, after.unmounts - before.unmounts];
  if (seen.some((count) => count !== expected)) {
    throw new Error(`the plugin saw ${seen.join(" and ")} calls, and not ${expected}`);
  }
}

function ascending(left: number, right: number): number {
  return left - right;
}

/** Socket plugins. */
export const pluginsGroup: Group = {
  name: "plugins",
  rows: [list, listProcess, create, mount, mountAloneFigure],
  async run(workbench) {
    const { rows, tables } = await withEngines(workbench, measureCalls);
    const listed = await withEngines(workbench, measureLists);
    return { rows: [...listed.rows, ...rows], tables };
  },
};

/** On a file system of its own. */
async function withEngines<T>(
  workbench: Workbench,
  measure: (workbench: Workbench, engines: PluginEngines) => Promise<T>,
): Promise<T> {
  await using ground = await workbench.ground();
  await using engines = await startPluginEngines(workbench, ground);
  return await measure(workbench, engines);
}
