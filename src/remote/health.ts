// How remote storage is: what is mounted is asked in a helper, what is not is asked for its server,
// once for all volumes of one server.
import type { HealthCapable, StorageHealth } from "../core/driver.ts";
import { EngineError, messageOf, toEngineError } from "../core/errors.ts";
import type { MountInfo } from "../core/host.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import { connectTo } from "./connect.ts";
import type { Workshop } from "./creation.ts";
import type { Look } from "./kind.ts";
import { within } from "./limited.ts";
import { mustBeStored, type RemoteMounts } from "./mounts.ts";
import { readOptions } from "./options.ts";
import type { StoredVolume } from "./record.ts";

/** How long an answer about a server is good for all its volumes, in milliseconds. */
const SHARED_MS = 1_000;

/** Below the deadline of `check`, so that silence is an answer and no error. */
const ASK_MS_MAX = 8_000;
const SERVER_MS_MAX = 8_000;

interface SharedAnswer {
  readonly answer: Promise<StorageHealth>;
  /** undefined: it is still being asked. */
  endedAtMs: number | undefined;
}

export function remoteHealth<Options>(
  shop: Workshop<Options>,
  mounts: RemoteMounts,
): HealthCapable {
  const { sessions, layout, parts } = shop;
  const { host } = parts;
  const servers = new Map<string, SharedAnswer>();

  async function look(name: VolumeName, stored: StoredVolume, operation: Operation): Promise<Look> {
    const place = layout.volume(name);
    const options = sessions.optionsOf(place) ?? stored.options;
    const mount = sessions.mountFor({ volume: name, place }, options);
    return (await sessions.kind.look?.(mount, operation)) ?? {};
  }

  async function checkMounted(
    name: VolumeName,
    stored: StoredVolume,
    mounted: MountInfo,
    operation: Operation,
  ): Promise<StorageHealth> {
    const { stale, degraded, unsaved } = await look(name, stored, operation);
    if (stale !== undefined) return { state: "stale", reason: stale, tookMs: null, unsaved };
    const { isReadOnly } = readOptions(sessions.kind, stored.options).common;
    const asked = await askMounted(layout.volume(name).data, operation);
    if (asked.state !== "ready") return { ...asked, unsaved };
    if (sessions.kind.isWriteBack === true) {
      // What keeps writes answers for a server that is gone, too.
      const server = await checkServer(stored, operation);
      if (server.state !== "ready") return { ...server, unsaved };
    }
    if (!isReadOnly && mounted.options.includes("ro")) {
      return { ...asked, state: "read-only", reason: "it is mounted read-only", unsaved };
    }
    if (degraded === undefined) return { ...asked, unsaved };
    return { ...asked, state: "degraded", reason: degraded, unsaved };
  }

  async function askMounted(directory: string, operation: Operation): Promise<StorageHealth> {
    const limit = { limitMs: ASK_MS_MAX, what: "the answer of the storage" };
    try {
      const tookMs = await within(limit, operation, (inner) => host.askStorage(directory, inner));
      return { state: "ready", reason: "", tookMs };
    } catch (thrown) {
      const error = toEngineError(thrown);
      const state = error.details["isGone"] === true ? "stale" : "unreachable";
      return { state, reason: oneLine(error.message), tookMs: null };
    }
  }

  /** 300 volumes of one server are one question. */
  async function checkServer(stored: StoredVolume, operation: Operation): Promise<StorageHealth> {
    const { own } = readOptions(sessions.kind, stored.options);
    const address = sessions.kind.address(own);
    const server = sessions.kind.server(own);
    const key = JSON.stringify([server, address?.host, address?.port]);
    const known = servers.get(key);
    const isFresh =
      known?.endedAtMs === undefined || host.monotonicMs() - known.endedAtMs < SHARED_MS;
    if (known !== undefined && isFresh) return await known.answer;
    const shared: SharedAnswer = { answer: askServer(own, operation), endedAtMs: undefined };
    servers.set(key, shared);
    const health = await shared.answer;
    shared.endedAtMs = host.monotonicMs();
    // Servers that nobody has any more are not kept.
    for (const [other, { endedAtMs }] of servers) {
      if (other !== key && endedAtMs !== undefined && shared.endedAtMs - endedAtMs > SHARED_MS) {
        servers.delete(other);
      }
    }
    return health;
  }

  /** Never rejects. Asked in time of its own: the answer is not only for who asked first. */
  async function askServer(own: Options, operation: Operation): Promise<StorageHealth> {
    const { kind } = sessions;
    const address = kind.address(own);
    const limit = { limitMs: SERVER_MS_MAX, what: "the answer of the server" };
    const alone = { ...operation, signal: new AbortController().signal };
    const startedAtMs = host.monotonicMs();
    try {
      await within(limit, alone, async (inner) => {
        if (address !== undefined) await connectTo(address, inner, () => host.monotonicMs());
        await kind.greet?.(own, inner);
      });
      const isAsked = address !== undefined || kind.greet !== undefined;
      const tookMs = isAsked ? host.monotonicMs() - startedAtMs : null;
      return { state: "ready", reason: "", tookMs };
    } catch (thrown) {
      return { state: "unreachable", reason: oneLine(messageOf(thrown)), tookMs: null };
    }
  }

  return {
    server: (options) => sessions.kind.server(readOptions(sessions.kind, options).own),

    async check(name, operation) {
      const stored = mustBeStored(shop, name);
      try {
        const mounted = sessions.mountedAt(layout.volume(name));
        if (mounted === undefined) return await checkServer(stored, operation);
        return await checkMounted(name, stored, mounted, operation);
      } catch (thrown) {
        operation.signal.throwIfAborted();
        return { state: "unreachable", reason: oneLine(messageOf(thrown)), tookMs: null };
      }
    },

    async heal(name, operation) {
      operation.signal.throwIfAborted();
      const stored = mustBeStored(shop, name);
      const mounted = sessions.mountedAt(layout.volume(name));
      if (mounted === undefined) return;
      const { state, reason } = await checkMounted(name, stored, mounted, operation);
      if (state !== "stale") return;
      operation.log.warn("what is mounted is dead, and mounted anew", { volume: name, reason });
      await mounts.replace(name, stored, operation);
    },
  };
}

/** How what is written reaches the server: looked at until nothing is left. */
export function remoteFlush<Options>(shop: Workshop<Options>) {
  const { sessions, layout } = shop;
  return {
    async flush(
      name: VolumeName,
      operation: Operation,
      told?: (left: NonNullable<Look["unsaved"]>) => void,
    ): Promise<void> {
      operation.signal.throwIfAborted();
      const stored = mustBeStored(shop, name);
      const place = layout.volume(name);
      const options = sessions.optionsOf(place) ?? stored.options;
      const mount = sessions.mountFor({ volume: name, place }, options);
      await sessions.kind.hurry?.(mount, operation);
      while (sessions.kind.look !== undefined) {
        const { unsaved, stale } = await sessions.kind.look(mount, operation);
        if (unsaved === undefined || unsaved.fileCount === 0) return;
        told?.(unsaved);
        if (stale !== undefined) {
          const message = `volume ${name}: ${unsaved.fileCount} files are not on the server, and ${stale}`;
          throw new EngineError("remote.unsaved", message, { details: { ...unsaved } });
        }
        await pause(FLUSH_LOOK_MS, operation.signal);
      }
    },
  };
}

/** The pause between two looks at what is left, in milliseconds. */
const FLUSH_LOOK_MS = 250;

/** Rejects with the signal's reason as soon as it fires. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
  signal.throwIfAborted();
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, "; ").trim();
}
