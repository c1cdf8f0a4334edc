// One trouble after another of a server whose volume somebody has: what is said meanwhile, and that
// all is well again 5 s after it is over.
import { readdirSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { readQuietly } from "../support/command-lines.ts";
import { holdfastCommand } from "../support/daemon.ts";
import type { Requirement } from "../support/needs.ts";
import { bareWrites, mustSettle, stateOf } from "./survive-checks.ts";
import { openSilentNetwork, type SilentNetwork } from "./survive-network.ts";
import type { TroubledServer } from "./survive-servers.ts";
import { openStage, own, type SurviveStage } from "./survive-stage.ts";

/** A look comes after 15 s at the latest, and a second one that says the same. */
const noticeMs = 35_000;
const backMs = 5_000;
/** rclone tries again what it could not send, after longer and longer pauses. */
const uploadMs = 40_000;
/** What a full server has room for. */
const roomBytes = 1_048_576;

interface At {
  readonly stage: SurviveStage;
  /** Of the volume's data. */
  readonly path: string;
  readonly network: SilentNetwork | undefined;
}

export interface Trouble {
  readonly name: string;
  readonly needs?: readonly Requirement[];
  /** What is said of the volume meanwhile. */
  says(driver: TroubledServer["driver"]): RegExp;
  /** The server and the daemon are in a network of their own. */
  readonly isInNetwork?: true;
  /** There is room for little on the server from the beginning. */
  readonly roomBytes?: number;
  /** How long it may take until all is well; 5 s unless given. */
  readonly backMs?: (driver: TroubledServer["driver"]) => number;
  begin(at: At): Promise<unknown>;
  /** It returns, or is told of. */
  end(at: At): Promise<unknown>;
}

const isSilent = () => /^unreachable: ./;

/** sshfs tells the writer, and rclone, who has taken it, everybody else. */
const isUnsaved = (driver: TroubledServer["driver"]): RegExp =>
  driver === "sshfs" ? /^in use$/ : /^degraded: what was written cannot be sent: ./;

/** Not even a moment later is it written into something else. */
async function writeInVain({ stage, path }: At): Promise<void> {
  const { driver } = stage.server;
  const refusal = await write(join(path, "meanwhile"), "written meanwhile").then(
    () => "",
    (thrown: unknown) => String(thrown),
  );
  if ((refusal === "") !== (driver === "rclone")) throw new Error(`a write: ${refusal || "done"}`);
}

const portOf = ({ stage: { server } }: At): number => {
  const [address = ""] = Object.values(server.address());
  return Number(address.split(":").at(-1));
};

const net = ({ network }: At): SilentNetwork => {
  if (network === undefined) throw new Error("it is in no network of its own");
  return network;
};

const moveOn = ({ stage }: At): Promise<unknown> =>
  stage.done("PATCH", own("volumes/wiki"), { optionsSet: stage.server.address() });

export const troubles: readonly Trouble[] = [
  {
    name: "killed",
    says: isSilent,
    begin: ({ stage }) => stage.server.kill(),
    end: ({ stage }) => stage.server.start(),
  },
  {
    name: "frozen",
    says: isSilent,
    begin: ({ stage }) => stage.server.freeze(),
    end: ({ stage }) => stage.server.thaw(),
  },
  {
    name: "cut off",
    needs: ["unshare", "ip", "iptables"],
    says: isSilent,
    isInNetwork: true,
    begin: (at) => net(at).cut(portOf(at)),
    end: (at) => net(at).mend(portOf(at)),
    // rclone waits so long for what it has asked before.
    backMs: (driver) => (driver === "sshfs" ? 5_000 : 30_000),
  },
  {
    name: "locked out",
    says: (driver) => (driver === "sshfs" ? /^unreachable: ./ : /^(unreachable|degraded): .*401/),
    async begin({ stage, path }) {
      await stage.server.lockOut(true);
      // Whoever asks for what is not known is told; rclone may take it, and cannot send it.
      await write(join(path, "meanwhile"), "written meanwhile").catch(() => undefined);
    },
    end: ({ stage }) => stage.server.lockOut(false),
    backMs: (driver) => (driver === "sshfs" ? 5_000 : uploadMs),
  },
  {
    name: "read-only",
    says: isUnsaved,
    async begin(at) {
      await at.stage.server.lock(true);
      await writeInVain(at);
      const refused = await at.stage.create("other");
      if (refused.status < 400) throw new Error("a volume that cannot be written to is made");
      if (!JSON.stringify(refused.json).includes('\\"write\\"')) {
        throw new Error(JSON.stringify(refused.json));
      }
    },
    end: ({ stage }) => stage.server.lock(false),
    backMs: (driver) => (driver === "sshfs" ? 5_000 : uploadMs),
  },
  {
    name: "full",
    says: isUnsaved,
    roomBytes,
    async begin(at) {
      await write(join(at.stage.server.served, "filler"), "x".repeat(roomBytes)).catch(() => 0);
      await writeInVain(at);
    },
    end: async ({ stage }) => rmSync(join(stage.server.served, "filler")),
    backMs: (driver) => (driver === "sshfs" ? 5_000 : uploadMs),
  },
  {
    name: "moved",
    says: isSilent,
    begin: ({ stage }) => stage.server.move(),
    end: moveOn,
  },
];

/** Throws what is wrong. */
export async function goThrough(driver: TroubledServer["driver"], trouble: Trouble) {
  await using network = trouble.isInNetwork === true ? await openSilentNetwork() : undefined;
  const enter = network?.enter;
  await using stage = await openStage(driver, {
    ...(trouble.roomBytes === undefined ? {} : { roomBytes: trouble.roomBytes }),
    ...(enter === undefined ? {} : { enter, command: [...enter, ...holdfastCommand()] as const }),
  });
  const made = await stage.create("wiki");
  if (made.status !== 201) throw new Error(JSON.stringify(made.json));
  const path = await stage.hold("wiki");
  const at: At = { stage, network, path };
  await writeSafely(stage, path, "before");
  await using threads = watchThreads(stage.daemon().pid);
  await trouble.begin(at);
  await stage.untilState("wiki", trouble.says(driver), noticeMs);
  if (bareWrites(stage).length > 0) throw new Error(bareWrites(stage).join());
  await trouble.end(at);
  await stage.untilState("wiki", /^in use$/, trouble.backMs?.(driver) ?? backMs);
  await writeSafely(stage, path, "after");
  for (const name of ["before", "after"]) mustBeOnServer(stage, name);
  threads.mustHaveRun();
  stage.mustBePrompt();
  await mustSettle(stage, ["wiki"]);
  await stage.release("wiki");
  await mustSettle(stage, []);
}

/** The server moves while nobody has the volume. */
export async function moveIdle(driver: TroubledServer["driver"]): Promise<void> {
  await using stage = await openStage(driver);
  await stage.create("wiki");
  await stage.server.move();
  await stage.done("PATCH", own("volumes/wiki"), { optionsSet: stage.server.address() });
  const path = await stage.hold("wiki");
  await writeSafely(stage, path, "after");
  mustBeOnServer(stage, "after");
  await stage.release("wiki");
  await mustSettle(stage, []);
}

/** As a program does that asks for it to be safe; with rclone that is another question. */
export async function writeSafely(stage: SurviveStage, path: string, name: string): Promise<void> {
  await write(join(path, name), `written ${name}`);
  if (stage.server.driver === "rclone") await stage.done("POST", own("volumes/wiki/flush"));
}

async function write(path: string, text: string): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

export function mustBeOnServer({ server }: SurviveStage, name: string): void {
  const text = readQuietly(join(server.served, name));
  if (text !== `written ${name}`) throw new Error(`${name} is "${text}" on the server`);
}

/** How many looks in a row, 50 ms apart, may find a thread waiting for this machine's own disk. */
const DISK_LOOKS_MAX = 4;

/** Looks at the states of the daemon's own threads all the while. */
function watchThreads(pid: number): AsyncDisposable & { mustHaveRun(): void } {
  const stuck = new Map<string, number>();
  const where = new Set<string>();
  let longest = 0;
  const timer = setInterval(() => {
    for (const thread of readdirQuietly(`/proc/${pid}/task`)) {
      const isStuck = stateOf(pid, Number(thread)) === "D" && !isForking(pid, thread);
      stuck.set(thread, isStuck ? (stuck.get(thread) ?? 0) + 1 : 0);
      if (isStuck) where.add(readQuietly(`/proc/${pid}/task/${thread}/wchan`));
      longest = Math.max(longest, stuck.get(thread) ?? 0);
    }
  }, 50);
  return {
    mustHaveRun() {
      // A server that is silent would hold it for seconds; the disk that all have, for moments.
      if (longest <= DISK_LOOKS_MAX) return;
      const places = [...where].join(", ");
      throw new Error(`a thread of the daemon was stuck ${longest} times in a row, at ${places}`);
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
    },
  };
}

/** A parent waits for its child's exec in this state, and for no storage. */
function isForking(pid: number, thread: string): boolean {
  return /^(kernel_clone|wait_for_vfork_done)/.test(
    readQuietly(`/proc/${pid}/task/${thread}/wchan`),
  );
}

function readdirQuietly(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
