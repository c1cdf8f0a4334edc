// Health of `local` volumes that point to another machine, or to a process that serves them (FUSE).
//
// All others lie on this machine and are never looked at. Nobody is asked but the storage itself,
// through what is mounted: of a volume that nobody has, nothing is known, and nothing is wrong.
import type { DriverOptions, HealthCapable, StorageHealth } from "../../core/driver.ts";
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Host, MountInfo } from "../../core/host.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import { fullHealth, WriteProofs } from "../../remote/write-proofs.ts";
import { type Layout, plainDirectory, readOptions } from "./layout.ts";
import { localMount } from "./options.ts";

/** How long the storage has to give a sign of life, in milliseconds. */
const ANSWER_MS_MAX = 5_000;

/** What is served by another machine, or may be: names of file systems as the kernel has them. */
const remoteTypes: ReadonlySet<string> = new Set([
  ...["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "afs", "coda", "davfs"],
  ...["glusterfs", "lustre", "beegfs", "orangefs", "gfs2", "ocfs2", "fuse"],
]);

export interface LocalHealthParts {
  readonly layout: Layout;
  readonly host: Host;
}

/**
 * See `HealthCapable`. Mount points are not sealed, as those of the remote drivers are: the root
 * may be handed to Docker's own engine, which could not remove an immutable directory.
 */
export function localHealth({ layout, host }: LocalHealthParts): HealthCapable {
  const proofs = new WriteProofs(host);
  const check = async (name: VolumeName, operation: Operation): Promise<StorageHealth> => {
    refuseMissing(layout, name);
    const target = layout.data(name);
    const mounted = mountedAt(host, target);
    if (mounted === undefined || !isRemoteType(mounted.fileSystem)) {
      proofs.forget(target);
      return { state: "ready", reason: "", tookMs: null };
    }
    return await ask(proofs, { target, mounted }, operation);
  };
  return {
    server: serverOf,
    check,

    async heal(name, operation) {
      operation.signal.throwIfAborted();
      const { state } = await check(name, operation);
      const mount = state === "stale" ? localMount(readOptions(layout, name)) : undefined;
      if (mount === undefined) return;
      operation.signal.throwIfAborted();
      const target = layout.data(name);
      await host.detach(target, operation);
      await host.mount({ ...mount, target }, operation);
    },
  };
}

async function ask(
  proofs: WriteProofs,
  { target, mounted }: { readonly target: string; readonly mounted: MountInfo },
  operation: Operation,
): Promise<StorageHealth> {
  const isReadOnly = mounted.options.includes("ro");
  // Others than NFS tell only when a file is written, which nobody has asked for.
  const isProven = !isReadOnly && mounted.fileSystem.startsWith("nfs");
  const proof = isProven ? ("access" as const) : undefined;
  const question = { directory: target, mounted, proof, hasTakenWrites: false };
  const late = AbortSignal.timeout(ANSWER_MS_MAX);
  const signal = AbortSignal.any([operation.signal, late]);
  try {
    const inner = { ...operation, signal };
    const { tookMs, space: room } = await proofs.ask(question, inner);
    const refusal = await proofs.refusal(question, tookMs, inner);
    if (refusal !== undefined) return { state: "read-only", reason: refusal, tookMs };
    // What FUSE file systems say of room may be invented.
    const isTold = !isReadOnly && !mounted.fileSystem.startsWith("fuse");
    const full = isTold ? fullHealth(room) : undefined;
    return { state: "ready", reason: "", ...full, tookMs };
  } catch (thrown) {
    if (signal.aborted) return silent(`no answer in ${ANSWER_MS_MAX / 1_000} s`);
    const { code, message, details } = toEngineError(thrown);
    if (details["isGone"] === true) return { state: "stale", reason: message, tookMs: null };
    if (code === "driver.timed_out") return silent(message);
    return { state: "degraded", reason: message, tookMs: null };
  }
}

function silent(reason: string): StorageHealth {
  return { state: "unreachable", reason, tookMs: null };
}

function refuseMissing(layout: Layout, name: VolumeName): void {
  if (plainDirectory(layout.volume(name)) !== undefined) return;
  throw new EngineError("volume.not_found", `get ${name}: no such volume`);
}

/** What is on top there. */
function mountedAt(host: Host, target: string): MountInfo | undefined {
  return host.mounts().findLast((line) => line.target === target);
}

/** What fails together: the machine that the options name, as `HealthCapable.server` has it. */
function serverOf(options: DriverOptions): string {
  const mount = localMount(options);
  if (mount === undefined || !isRemoteType(mount.type)) return "";
  const { device } = mount;
  const share = /^\/\/([^/]+)\//.exec(device)?.[1];
  const login = /^(?:[^@/]*@)?(\[[^\]]+\]|[^:/]+):/.exec(device)?.[1];
  return (share ?? login ?? device).replace(/^.*@/, "");
}

function isRemoteType(type: string): boolean {
  return remoteTypes.has(type) || type.startsWith("fuse.") || type === "sshfs";
}
