// Rows for an engine with volumes on a server that has fallen silent: nobody else notices.
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { called } from "../calls.ts";
import { measureRounds, type Step } from "../measure.ts";
import { type RemoteStage, startRemoteStage } from "../remote-stage.ts";
import { type Group, type GroupOutcome, type RowPlan, rowFrom } from "../rows.ts";
import { quantile } from "../statistics.ts";
import type { Workbench } from "../workbench.ts";

const LOCAL = 700;
const SILENT = 300;
/** How many of them somebody has. */
const HELD = 20;
const KNOWN_MS_MAX = 60_000;
const BACK_MS_MAX = 60_000;
/** Whether a thread sleeps is looked at so often, in milliseconds. */
const SAMPLE_MS = 5;

const alone = {
  unit: "ms",
  judged: "figure",
  against: "nothing",
} as const;
const prompt = { ...alone, target: { bound: "at_most", value: 100 } } as const;
const how =
  `${LOCAL} volumes of \`local\` and ${SILENT} of \`sshfs\`, ${HELD} of them mounted; the server ` +
  "and all its sessions are stopped (SIGSTOP), and known to be unreachable. One connection, " +
  "without pause; the figure is the 99th percentile of a burst.";

const list: RowPlan = {
  ...prompt,
  id: "remote-list",
  work: "list of 1,000 volumes, 300 of them on a silent server, 99 of 100",
  how: `${how} \`GET /volumes\`.`,
};
const inspect: RowPlan = {
  ...prompt,
  id: "remote-inspect",
  work: "inspect of volumes on the silent server, 99 of 100",
  how: "The same volumes; `GET /volumes/NAME` of one of the 300.",
};
const usage: RowPlan = {
  ...prompt,
  id: "remote-df",
  work: "`system df` with them, 99 of 100",
  how: "The same volumes; `GET /system/df?type=volume`.",
};
const listProcess: RowPlan = {
  ...prompt,
  id: "remote-ls",
  work: "`volume ls` with them as a whole process, 99 of 100",
  how: "The same volumes; the time of `holdfast volume ls`, from its start to its end.",
};
const sleep: RowPlan = {
  ...prompt,
  id: "remote-sleep",
  work: "longest uninterruptible sleep of a thread of the daemon meanwhile",
  how:
    "While the above is measured, `/proc/PID/task/*/stat` of the daemon is read every " +
    `${SAMPLE_MS} ms; ` +
    "the figure is the longest time for which a thread was in state D. Writing its own state to " +
    "disk takes the daemon there, too, for some milliseconds.",
};
const back: RowPlan = {
  ...alone,
  id: "remote-back",
  work: "from the server's return to `ready`, all volumes",
  target: { bound: "at_most", value: 5000 },
  how:
    "From SIGCONT until Holdfast's own API says of none of the 300 that it is unreachable; once " +
    "a round.",
};

interface OwnVolumes {
  readonly volumes: readonly { readonly name: string; readonly state: string }[];
}

async function troubled({ daemon }: RemoteStage): Promise<readonly string[]> {
  const path = "/holdfast/v1/volumes";
  const { text } = await called({ socket: daemon.socketPath, method: "GET", path });
  const { volumes }: OwnVolumes = JSON.parse(text);
  const words = new Set(["unreachable", "degraded", "stale", "mounting", "not mounted"]);
  return volumes.filter(({ state }) => words.has(state)).map(({ name }) => name);
}

/** Waits until so many volumes are in trouble; how long that took, in milliseconds. */
async function untilTroubled(
  stage: RemoteStage,
  isEnough: (count: number) => boolean,
  msMax: number,
): Promise<number> {
  const startedMs = performance.now();
  for (;;) {
    const names = await troubled(stage);
    const tookMs = performance.now() - startedMs;
    if (isEnough(names.length)) return tookMs;
    if (tookMs > msMax) throw new Error(`${names.length} volumes are in trouble after ${msMax} ms`);
    await pause(20);
  }
}

async function prepare(workbench: Workbench, stage: RemoteStage): Promise<void> {
  const { socketPath: socket } = stage.daemon;
  const many = { mode: "create", socket, connections: 8, prefix: "here" } as const;
  await workbench.tools.burst({ ...many, amount: { count: LOCAL } });
  const DriverOpts = { ...(await stage.options("sshfs", "silent")), test: "off" };
  for (let index = 0; index < SILENT; index++) {
    const body = { Name: `there-${index}`, Driver: "sshfs", DriverOpts };
    await called({ socket, method: "POST", path: "/volumes/create", body });
  }
  for (let index = 0; index < HELD; index++) {
    const path = `/holdfast/v1/volumes/there-${index}/holders/bench`;
    await called({ socket, method: "PUT", path });
  }
}

/** Looks at the threads of a process until it is disposed of. */
function watchSleep(pid: number): { longestMs(): number; stop(): Promise<void> } {
  let isOver = false;
  let longestMs = 0;
  const since = new Map<string, number>();
  const watching = (async () => {
    while (!isOver) {
      for (const thread of await readdir(`/proc/${pid}/task`)) {
        const stat = await readFile(`/proc/${pid}/task/${thread}/stat`, "utf8").catch(() => "");
        const isAsleep = stat.slice(stat.lastIndexOf(")") + 2).startsWith("D");
        const nowMs = performance.now();
        if (!isAsleep) since.delete(thread);
        else longestMs = Math.max(longestMs, nowMs - (since.get(thread) ?? nowMs));
        if (isAsleep && !since.has(thread)) since.set(thread, nowMs);
      }
      await pause(SAMPLE_MS);
    }
  })();
  return {
    longestMs: () => longestMs,
    async stop() {
      isOver = true;
      await watching;
    },
  };
}

function steps(workbench: Workbench): readonly Step<RemoteStage>[] {
  const { tools, sizes, executable = "" } = workbench;
  const one = { connections: 1, prefix: "there" } as const;
  const amount = { count: sizes.plugins.lists };
  const asked = (row: RowPlan, request: object): Step<RemoteStage> => ({
    name: row.id,
    async measure({ daemon }, round) {
      const burst = { ...one, ...request, socket: daemon.socketPath, amount };
      const load = await tools.burst({ mode: "calls", ...burst });
      if (round >= 0) workbench.note({ work: row.work, engine: "Holdfast", load });
      return load.latencyMs.p99;
    },
  });
  return [
    asked(list, { mode: "list", expect: LOCAL + SILENT }),
    asked(inspect, { mode: "inspect", names: SILENT }),
    asked(usage, { calls: ["GET /system/df?type=volume"] }),
    {
      name: listProcess.id,
      async measure({ daemon }) {
        const times: number[] = [];
        const environment = { HOLDFAST_HOST: `unix://${daemon.socketPath}` };
        const command = [executable, "volume", "ls"];
        for (let left = sizes.plugins.processes; left > 0; left--) {
          const linesMin = LOCAL + SILENT + 1;
          times.push((await tools.timeProcess({ command, environment, linesMin })).wallMs);
        }
        return quantile(
          times.toSorted((left, right) => left - right),
          0.99,
        );
      },
    },
  ];
}

async function measure(workbench: Workbench, stage: RemoteStage): Promise<GroupOutcome> {
  const { rounds } = workbench.sizes;
  await prepare(workbench, stage);
  await stage.ssh.freeze();
  await untilTroubled(stage, (count) => count >= HELD, KNOWN_MS_MAX);
  const watch = watchSleep(stage.daemon.pid);
  const figures = await measureRounds({
    ...{ subjects: [stage], rounds, signal: workbench.signal, steps: steps(workbench) },
  });
  await watch.stop();
  const backs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    if (round > 0) {
      await stage.ssh.freeze();
      await untilTroubled(stage, (count) => count >= HELD, KNOWN_MS_MAX);
    }
    await stage.ssh.thaw();
    backs.push(await untilTroubled(stage, (count) => count === 0, BACK_MS_MAX));
  }
  const asked = [list, inspect, usage, listProcess];
  return {
    rows: [
      ...asked.map((row) => rowFrom(row, figures.get(row.id))),
      rowFrom(sleep, { outcome: "measured", perSubject: [[watch.longestMs()]] }),
      rowFrom(back, { outcome: "measured", perSubject: [backs] }),
    ],
    tables: [],
  };
}

/** Volumes on a server that is stopped. */
export const remoteGroup: Group = {
  name: "remote",
  rows: [list, inspect, usage, listProcess, sleep, back],
  async run(workbench) {
    await using ground = await workbench.ground();
    await using stage = await startRemoteStage(workbench, ground);
    return await measure(workbench, stage);
  },
};
