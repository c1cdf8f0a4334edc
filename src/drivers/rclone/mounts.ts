// Mounting with rclone: the cache is mended, `rclone mount` serves, and is asked what it shows.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Unsaved } from "../../core/driver.ts";
import { EngineError, messageOf, storageError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import {
  type FuseParts,
  lastWords as logged,
  lookFuse,
  lookFuseMasked,
  maskValues,
  startFuse,
  stopFuse,
} from "../../remote/fuse-process.ts";
import type { Look, RemoteMount } from "../../remote/kind.ts";
import { writeWhole } from "../../remote/whole-files.ts";
import { cacheDirectory, hasLeft, unsavedIn } from "./cache.ts";
import { type RcloneConfig, rcloneConfig } from "./config.ts";
import { lastWords, rcloneFailure, uploadWords } from "./failures.ts";
import { isSilent } from "./greet.ts";
import { asideDirectory, isStuck, mendCache } from "./mend.ts";
import type { RcloneOptions } from "./options.ts";
import { isMissing, type Missing, type Originals, readStat } from "./originals.ts";

export type RcloneMount = RemoteMount<RcloneOptions>;

/** How long an unmount waits for what is not on the server yet: less than its deadline. */
const UNSAVED_WAIT_MS = 45_000;
const LOOK_AGAIN_MS = 100;
/** After so long without progress its server is asked whether there is anything to wait for. */
const STALLED_MS = 5_000;
/** How long an unmount waits for who uses the mount just now. */
const BUSY_MS_MAX = 8_000;

/** What rclone logs of a file that it will not send. */
const GIVEN_UP = "failed to download missing parts of cache file";

/** rclone's exit status for a directory that is not there. */
const DIRECTORY_NOT_FOUND = 3;
const FILE_NOT_FOUND = 4;

/** Backends in which a directory is there as long as something is in it. */
const bucketBackends =
  /^(s3|b2|google cloud storage|azureblob|swift|qingstor|storj|memory|oracleobjectstorage)$/;

/** So that a server that is gone is an error of seconds, not of an hour. */
const patience = [
  ...["--contimeout", "5s", "--timeout", "20s"],
  ...["--low-level-retries", "3", "--retries", "1"],
];

/** See `RemoteKind.mount`. */
export async function mountRclone(
  fuse: FuseParts,
  mount: RcloneMount,
  operation: Operation,
): Promise<void> {
  const { host } = fuse;
  const { target, runDirectory, keepDirectory } = mount;
  const secret = (await mount.secret?.())?.revealText() ?? "";
  const config = rcloneConfig(mount.options, secret, mount.subpath);
  const tool = { host, config, file: join(runDirectory, "rclone.conf") };
  // rclone hangs at its start when a dead mount of another one is where it is to serve.
  const dead = lookFuse(fuse, { target, runDirectory, program: "rclone" });
  if (dead.stale !== undefined) {
    await stopFuse(fuse, { target, runDirectory }, { isLost: true }, operation);
  }
  writeWhole(tool.file, config.text);
  try {
    const cache = cacheDirectory(keepDirectory);
    makeDirectory(cache);
    // What is left would be sent to whatever is there, and would make what is not.
    const isAsked = await hasLeft(cache);
    if (isAsked) await askServer(tool, operation);
    await mendCache({ keepDirectory, host }, originalsOf(tool, mount), operation);
    await startFuse(
      fuse,
      {
        target,
        runDirectory,
        program: "rclone",
        args: mountArguments(mount, config, tool.file),
        secrets: config.secrets,
        explain: (words) => rcloneFailure(lastWords(words), config.remote),
        answers: (inner) => askThrough(tool, { target, isAsked }, inner),
      },
      operation,
    );
  } catch (thrown) {
    rmSync(tool.file, { force: true });
    throw thrown;
  }
}

export interface Tool {
  readonly host: Host;
  readonly config: RcloneConfig;
  /** Of the configuration. */
  readonly file: string;
}

function mountArguments(
  { options, target, isReadOnly, keepDirectory }: RcloneMount,
  { remote }: RcloneConfig,
  file: string,
): readonly string[] {
  const words = ["mount", remote, target, "--config", file, ...patience];
  words.push("--cache-dir", cacheDirectory(keepDirectory), "--vfs-cache-mode", options.cacheMode);
  words.push("--vfs-cache-max-size", options.cacheSize, "--vfs-cache-max-age", options.cacheAge);
  words.push("--vfs-write-back", `${options.writeBackSeconds}s`, "--allow-other");
  words.push("--dir-cache-time", `${options.dirCacheSeconds}s`);
  words.push("--poll-interval", `${options.pollSeconds}s`, "--umask", options.umask);
  if (options.uid !== undefined) words.push("--uid", options.uid);
  if (options.gid !== undefined) words.push("--gid", options.gid);
  if (isReadOnly) words.push("--read-only");
  return words;
}

/**
 * `rclone mount` succeeds without a server, with a wrong password and with a bucket that is not
 * there. A list of what is mounted fails then, and the log says why; only what is not there looks
 * like an empty directory, and another process of rclone tells the two apart.
 */
async function askThrough(
  tool: Tool,
  { target, isAsked }: { readonly target: string; readonly isAsked: boolean },
  operation: Operation,
): Promise<void> {
  const words = ["--almost-all", "-U", "--", target];
  const { exitCode, stdout, stderr } = await tool.host.run("ls", words, operation);
  const isSilent = logged({ runDirectory: dirname(tool.file), secrets: [] }) === "";
  if (exitCode === 0 ? stdout === "" && !isAsked : isSilent) await askServer(tool, operation);
  if (exitCode !== 0) throw new EngineError("storage.failed", stderr.trim());
}

/** Throws what is wrong with the remote, `remote.not_found` where there is no such directory. */
export async function askServer(tool: Tool, operation: Operation): Promise<void> {
  const { config } = tool;
  const asked = await listing(tool, config.remote, operation);
  if (asked.exitCode === 0) return;
  const bucket = bucketOf(config.remote);
  const isEmptyDirectory =
    asked.exitCode === DIRECTORY_NOT_FOUND &&
    bucketBackends.test(config.backend) &&
    bucket !== config.remote &&
    (await listing(tool, bucket, operation)).exitCode === 0;
  if (isEmptyDirectory) return;
  throw failureOf(tool, asked.stderr);
}

/** The remote with the first segment of its path and nothing below. */
function bucketOf(remote: string): string {
  const [name = "", path = ""] = remote.split(/:(.*)/s);
  const bucket = path.split("/").find((segment) => segment !== "") ?? "";
  return `${name}:${bucket}`;
}

function listing({ host, file }: Tool, remote: string, operation: Operation) {
  const words = ["lsf", "--max-depth", "1", "--config", file, ...patience, "--", remote];
  return host.run("rclone", words, operation);
}

function failureOf({ config }: Tool, stderr: string): EngineError {
  return rcloneFailure(lastWords(maskValues(stderr, config.secrets)), config.remote);
}

/** Of what the cache has parts of. */
function originalsOf(tool: Tool, { options }: RcloneMount): Originals {
  const prefix = `${options.remote}/`;
  /** The output of a command, with the remote's name for a path of the cache as its argument. */
  async function run(
    path: string,
    operation: Operation,
    command: readonly string[],
    into: readonly string[] = [],
  ): Promise<string | Missing> {
    if (!path.startsWith(prefix)) return "foreign";
    const from = `${options.remote}:${rooted(options.path, path.slice(prefix.length))}`;
    const words = [...command, "--config", tool.file, ...patience, "--", from, ...into];
    const { exitCode, stdout, stderr } = await tool.host.run("rclone", words, operation);
    if (exitCode === 0) return stdout;
    if (exitCode === DIRECTORY_NOT_FOUND || exitCode === FILE_NOT_FOUND) return "gone";
    throw failureOf(tool, stderr);
  }
  return {
    async ask(path, operation) {
      const said = await run(path, operation, ["lsjson", "--stat"]);
      const file = readStat(said);
      if (file !== "directory") return file;
      // Object storage has a directory of any name, and nothing in it.
      const listing = await run(path, operation, ["lsf", "--max-depth", "1"]);
      return listing === "" || listing === "gone" ? "gone" : "foreign";
    },
    async fetch(path, into, operation) {
      const said = await run(path, operation, ["copyto"], [into]);
      return isMissing(said) ? said : "fetched";
    },
  };
}

/** The cache's paths have lost the slash that the remote's begins with. */
function rooted(path: string, below: string): string {
  return path.startsWith("/") ? `/${below}` : below;
}

/** See `RemoteKind.unmount`. */
export async function unmountRclone(
  fuse: FuseParts,
  mount: RcloneMount,
  { isLost }: { readonly isLost: boolean },
  operation: Operation,
): Promise<void> {
  const { target, runDirectory, keepDirectory, volume } = mount;
  const isMounted = () => fuse.host.mounts().some((each) => each.target === target);
  if (!isLost && isMounted()) {
    if ((await untilSaved(fuse, mount, operation)) === "stuck") {
      operation.log.warn("rclone has given files up: they are mended and sent again", { volume });
      await stopSoon(fuse, mount, operation);
      await mountRclone(fuse, mount, operation);
      await untilSaved(fuse, mount, operation);
    }
  }
  if (isLost) await stopFuse(fuse, { target, runDirectory }, { isLost }, operation);
  else await stopSoon(fuse, mount, operation);
  rmSync(join(runDirectory, "rclone.conf"), { force: true });
  const left = await unsavedIn(cacheDirectory(keepDirectory));
  if (left.fileCount === 0) return;
  const why = "the next mount sends them";
  if (!isLost) throw unsaved(volume, left, why);
  operation.log.warn(`files are not on the server: ${why}`, { volume, ...left });
}

/** A look at a server that is away uses the mount for some seconds. */
async function stopSoon(fuse: FuseParts, mount: RcloneMount, operation: Operation): Promise<void> {
  const { host } = fuse;
  const until = host.monotonicMs() + BUSY_MS_MAX;
  for (;;) {
    try {
      return await stopFuse(fuse, mount, { isLost: false }, operation);
    } catch (thrown) {
      const isBusy = toEngineError(thrown).code === "volume.unmount_failed";
      if (!isBusy || host.monotonicMs() > until) throw thrown;
      await pause(LOOK_AGAIN_MS);
      operation.signal.throwIfAborted();
    }
  }
}

/**
 * "stuck": rclone sends nothing of what is left. Throws `remote.unsaved` when its time is over,
 * nobody is there who would send anything, or the server is silent.
 */
async function untilSaved(
  fuse: FuseParts,
  mount: RcloneMount,
  operation: Operation,
): Promise<"saved" | "stuck"> {
  const { host } = fuse;
  const { keepDirectory, runDirectory, volume } = mount;
  const until = host.monotonicMs() + UNSAVED_WAIT_MS;
  let progress = { bytes: -1, atMs: host.monotonicMs() };
  for (;;) {
    const startedAt = host.monotonicMs();
    const left = await unsavedIn(cacheDirectory(keepDirectory));
    if (left.bytes !== progress.bytes) progress = { bytes: left.bytes, atMs: startedAt };
    // A large cache takes its time to be looked through, and is not to take a processor.
    const rest = LOOK_AGAIN_MS + 3 * (host.monotonicMs() - startedAt);
    if (left.fileCount === 0) return "saved";
    const hasGivenUp = logged({ runDirectory, secrets: [] }).includes(GIVEN_UP);
    if (hasGivenUp && (await isStuck(keepDirectory))) return "stuck";
    const { stale } = await lookMasked(fuse, mount);
    if (stale !== undefined || host.monotonicMs() > until) throw unsaved(volume, left, stale);
    // Whoever wants the volume meanwhile would wait for a server that is gone.
    if (startedAt - progress.atMs > STALLED_MS) {
      if (await isSilent(mount.options, operation.signal)) {
        throw unsaved(volume, left, "its server does not answer");
      }
      progress.atMs = host.monotonicMs();
    }
    await pause(rest, undefined, { signal: operation.signal }).catch(() => {
      throw unsaved(volume, left, stale);
    });
  }
}

function unsaved(volume: string, left: Unsaved, stale: string | undefined): EngineError {
  const files = left.fileCount === 1 ? "1 file" : `${left.fileCount} files`;
  const why = stale === undefined ? "they are being sent" : stale;
  const message = `volume ${volume}: ${files} (${left.bytes} bytes) not on the server yet: ${why}`;
  return new EngineError("remote.unsaved", message, { details: { ...left } });
}

/** See `RemoteKind.look`. */
export async function lookRclone(fuse: FuseParts, mount: RcloneMount): Promise<Look> {
  const { keepDirectory } = mount;
  const aside = asideDirectory(keepDirectory);
  const unsaved = await unsavedIn(cacheDirectory(keepDirectory));
  return {
    ...(await lookMasked(fuse, mount)),
    unsaved,
    degraded: existsSync(aside)
      ? `files that were being written when rclone died lie in ${aside}: look at them, remove them`
      : unsaved.fileCount > 0
        ? await sendingTrouble(mount)
        : undefined,
  };
}

/** Why what is left cannot be sent, as rclone said last; undefined: it said nothing. */
async function sendingTrouble(mount: RcloneMount): Promise<string | undefined> {
  const { runDirectory } = mount;
  const said = logged({ runDirectory, secrets: [] }).split("\n");
  const failure = said.findLast((line) => /failed to upload|failed to download missing/.test(line));
  if (failure === undefined) return undefined;
  try {
    const words = uploadWords(lastWords(maskValues(failure, await secretsOf(mount))));
    return `what was written cannot be sent: ${words}`;
  } catch (thrown) {
    return `what was written cannot be sent, and its secret: ${messageOf(thrown)}`;
  }
}

function lookMasked(fuse: FuseParts, mount: RcloneMount): Promise<Look> {
  return lookFuseMasked(fuse, { ...mount, program: "rclone" }, () => secretsOf(mount));
}

/** Values that no message may have. Throws `secret.*`. */
async function secretsOf({ options, subpath, secret }: RcloneMount): Promise<readonly string[]> {
  return rcloneConfig(options, (await secret?.())?.revealText() ?? "", subpath).secrets;
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw storageError(thrown, `making ${path}`);
  }
}
