// A machine whose kernel has clients of NFS and SMB, with a Holdfast, and the same mounts by hand.
import { copyFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { temporaryDirectory } from "../test/support/daemon.ts";
import { type Lab, type LabDaemon, startLab } from "../test/support/labs/lab.ts";
import { NAS_SECRET, type Nas, nasKinds } from "../test/support/labs/nas.ts";
import { EXPORT_PATH } from "../test/support/labs/nfs-server.ts";
import { SERVER_ADDRESS } from "../test/support/labs/private-network.ts";
import { SHARE, SMB_PASSWORD, SMB_USER } from "../test/support/labs/samba-server.ts";
import type { Workbench } from "./workbench.ts";

const PLUGIN_SOCKET = "/run/plugin.sock";
const HOLDER = "bench";
const RUN_MS_MAX = 120_000;
const END_MS_MAX = 60_000;
const LOOK_MS = 50;

export type NasDriver = Nas["driver"];

interface Kind {
  /** Beside those that say where. */
  readonly options: Readonly<Record<string, string>>;
  /** What mount(8) takes for a directory that is shared. */
  device(directory: string): string;
  readonly type: string;
  readonly words: string;
}

/** mount(8) with all that a volume is mounted with; whether it was is looked at. */
const kinds: Readonly<Record<NasDriver, Kind>> = {
  nfs: {
    // Otherwise the kernel has one file system for both, and nothing would be compared.
    options: { options: "nosharecache" },
    device: (directory) => `${SERVER_ADDRESS}:${EXPORT_PATH}/${directory}`,
    type: "nfs",
    words: "rw,nosuid,nodev,retry=0,hard,vers=4,nosharecache",
  },
  smb: {
    options: {},
    device: (directory) => `//${SERVER_ADDRESS}/${SHARE}/${directory}`,
    type: "cifs",
    words: `rw,nosuid,nodev,hard,username=${SMB_USER},password=${SMB_PASSWORD}`,
  },
};

/** Disposing of it ends the servers, the machine and all that is on it. */
export interface NasStage extends AsyncDisposable {
  /** A directory that the server shares, as this host sees it. */
  folder(driver: NasDriver): string;
  create(driver: NasDriver, name: string): Promise<void>;
  /** Times are those inside the machine, in milliseconds. */
  hold(name: string): Promise<{ readonly path: string; readonly tookMs: number }>;
  /** Resolves when it is unmounted. */
  letGo(name: string, path: string): Promise<void>;
  /** The same at the volume driver socket. */
  engineMount(name: string): Promise<number>;
  engineUnmount(name: string, path: string): Promise<void>;
  mountByHand(driver: NasDriver, directory: string): Promise<NasBareMount>;
  /** What the mount table has for it, after the directory. */
  optionsAt(target: string): Promise<string>;
  /** Runs a program there, and returns what it printed. */
  run(...command: readonly string[]): Promise<string>;
  /** `bench/pair-load.c`. */
  readonly pairLoad: string;
}

export interface NasBareMount extends AsyncDisposable {
  readonly target: string;
  /** Of mount(8), from its start to its end. */
  readonly tookMs: number;
}

/** Boots the machine and starts the servers and a daemon. */
export async function startNasStage(workbench: Workbench): Promise<NasStage> {
  const { executable } = workbench;
  if (executable === undefined) throw new Error("these rows need Holdfast as the candidate");
  await using cleanUp = new AsyncDisposableStack();
  const own = temporaryDirectory();
  cleanUp.defer(() => rm(own, { recursive: true, force: true }));
  const pairLoad = join(own, "pair-load");
  await copyFile(await workbench.tools.compileStatic("pair-load"), pairLoad);
  const lab = cleanUp.use(await startLab());
  const place = { command: [executable], root: "nas", pluginSocket: PLUGIN_SOCKET };
  const daemon = await lab.startDaemon(place);
  const value = Buffer.from(SMB_PASSWORD).toString("base64");
  await sent(daemon, "PUT", `/holdfast/v1/secrets/${NAS_SECRET}`, { value });
  const held = cleanUp.move();
  const run = (...command: readonly string[]) => ran(lab, command);
  return {
    ...{ pairLoad, run, ...volumesOf(lab, daemon) },
    folder: (driver) => nasOf(driver).folder(lab),
    mountByHand: (driver, directory) => byHand(lab, driver, directory),
    async optionsAt(target) {
      const lines = (await run("cat", "/proc/self/mounts")).split("\n");
      const fields = lines.map((line) => line.split(" "));
      const [, , type = "", options = ""] = fields.findLast(([, at]) => at === target) ?? [];
      return `${type} ${options}`;
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

type Volumes = Pick<NasStage, "create" | "hold" | "letGo" | "engineMount" | "engineUnmount">;

function volumesOf(lab: Lab, daemon: LabDaemon): Volumes {
  const holders = (name: string) => `/holdfast/v1/volumes/${name}/holders/${HOLDER}`;
  const engineCall = async (what: "Mount" | "Unmount", Name: string) => {
    const [method, path] = ["POST", `/VolumeDriver.${what}`];
    const body = JSON.stringify({ Name, ID: HOLDER });
    const call = { method, path, body, socket: PLUGIN_SOCKET, timeoutMs: RUN_MS_MAX };
    const answer = await lab.machine.ask({ does: "http", ...call });
    if (answer.code !== 200) throw new Error(`${path}: ${answer.text}${answer.errors}`);
    return answer.tookMs;
  };
  const untilUnmounted = async (path: string) => {
    const signal = AbortSignal.timeout(END_MS_MAX);
    while ((await ran(lab, ["cat", "/proc/self/mounts"])).includes(` ${path} `)) {
      await pause(LOOK_MS, undefined, { signal });
    }
  };
  return {
    async create(driver, name) {
      const options = { ...nasOf(driver).options, ...kinds[driver].options, subpath: name };
      const body = { Name: name, Driver: driver, DriverOpts: options };
      await sent(daemon, "POST", "/volumes/create", body);
    },
    async hold(name) {
      const { text, tookMs } = await sent(daemon, "PUT", holders(name));
      return { path: String(JSON.parse(text).path), tookMs };
    },
    async letGo(name, path) {
      await sent(daemon, "DELETE", holders(name));
      await untilUnmounted(path);
    },
    engineMount: (name) => engineCall("Mount", name),
    async engineUnmount(name, path) {
      await engineCall("Unmount", name);
      await untilUnmounted(path);
    },
  };
}

function nasOf(driver: NasDriver): Nas {
  const found = nasKinds.find((each) => each.driver === driver);
  if (found === undefined) throw new Error(`the lab has no ${driver}`);
  return found;
}

async function byHand(lab: Lab, driver: NasDriver, directory: string): Promise<NasBareMount> {
  const target = `/mnt/by-hand/${driver}`;
  const { type, words, device } = kinds[driver];
  await ran(lab, ["mkdir", "-p", target]);
  const command = ["mount", "-t", type, "-o", words, device(directory), target];
  const { code, errors, tookMs } = await lab.machine.ask({
    ...{ does: "run", command, timeoutMs: RUN_MS_MAX },
  });
  if (code !== 0) throw new Error(`mount of ${directory} by hand: ${errors}`);
  const end = async () => void (await ran(lab, ["umount", target]));
  return { target, tookMs, [Symbol.asyncDispose]: end };
}

async function ran(lab: Lab, command: readonly string[]): Promise<string> {
  const answer = await lab.machine.ask({ does: "run", command, timeoutMs: RUN_MS_MAX });
  if (answer.code === 0) return answer.text;
  throw new Error(`${command.join(" ")} ended with ${answer.code}: ${answer.errors}`);
}

async function sent(daemon: LabDaemon, method: string, path: string, body?: object) {
  const answer = await daemon.send(method, path, body);
  const isGood = answer.code >= 200 && answer.code < 300;
  if (!isGood) throw new Error(`${method} ${path}: ${answer.code} ${answer.text}${answer.errors}`);
  return answer;
}

/** Makes a directory that is shared, as somebody who has the server. */
export async function shareDirectory(stage: NasStage, driver: NasDriver, name: string) {
  await mkdir(join(stage.folder(driver), name));
}
