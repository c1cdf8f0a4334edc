// How remote storage is: what is mounted is asked in a helper, what is not is asked for its server,
// once for all volumes of one server.
import type { FlushCapable, HealthCapable, StorageHealth } from "../core/driver.ts";
import { EngineError, messageOf, toEngineError } from "../core/errors.ts";
import type { Host, MountInfo } from "../core/host.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import { connectTo } from "./connect.ts";
import type { Workshop } from "./creation.ts";
import type { Look } from "./kind.ts";
import { within } from "./limited.ts";
import { mustBeStored, type RemoteMounts } from "./mounts.ts";
import { readOptions } from "./options.ts";
import type { StoredVolume } from "./record.ts";
import { unfired } from "./trial.ts";

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
  const { sessions, layout } = shop;
  const servers = new Servers(shop);
  return {
    server(options) {
      try {
        return sessions.kind.server(readOptions(sessions.kind, options).own);
      } catch {
        // Options of a volume that is there, and are none any more: looks at it will say so. It must
        // stop nothing else.
        return sessions.kind.name;
      }
    },

    async check(name, operation) {
      const stored = mustBeStored(shop, name);
      try {
        const mounted = sessions.mountedAt(layout.volume(name));
        if (mounted === undefined) return await servers.check(stored, operation);
        const health = await checkMounted(shop, { name, stored, mounted }, operation);
        if (sessions.kind.isWriteBack !== true || health.state !== "ready") return health;
        // What keeps writes for later answers for a server that is gone, too.
        const server = await servers.check(stored, operation);
        return server.state === "ready" ? health : { ...server, unsaved: health.unsaved };
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
      const { state, reason } = await checkMounted(shop, { name, stored, mounted }, operation);
      if (state !== "stale") return;
      operation.log.warn("what is mounted is dead, and mounted anew", { volume: name, reason });
      await mounts.replace(name, stored, operation);
    },
  };
}

interface Mounted {
  readonly name: VolumeName;
  readonly stored: StoredVolume;
  readonly mounted: MountInfo;
}

async function checkMounted<Options>(
  { sessions, layout, parts }: Workshop<Options>,
  { name, stored, mounted }: Mounted,
  operation: Operation,
): Promise<StorageHealth> {
  const place = layout.volume(name);
  const mount = sessions.mountAt({ volume: name, place }, stored.options);
  const look: Look = (await sessions.kind.look?.(mount, operation)) ?? {};
  const { stale, degraded, unsaved } = look;
  if (stale !== undefined) return { state: "stale", reason: stale, tookMs: null, unsaved };
  const asked = await askMounted(parts.host, place.data, operation);
  if (asked.state !== "ready") return { ...asked, unsaved };
  if (!mount.isReadOnly && mounted.options.includes("ro")) {
    return { ...asked, state: "read-only", reason: "it is mounted read-only", unsaved };
  }
  if (degraded === undefined) return { ...asked, unsaved };
  return { ...asked, state: "degraded", reason: degraded, unsaved };
}

async function askMounted(
  host: Pick<Host, "askStorage">,
  directory: string,
  operation: Operation,
): Promise<StorageHealth> {
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
class Servers<Options> {
  readonly #shop: Workshop<Options>;
  readonly #answers = new Map<string, SharedAnswer>();

  constructor(shop: Workshop<Options>) {
    this.#shop = shop;
  }

  /** What is known of a volume's server, asked now or a moment ago. Never rejects. */
  async check(stored: StoredVolume, operation: Operation): Promise<StorageHealth> {
    const { sessions, parts } = this.#shop;
    const { own } = readOptions(sessions.kind, stored.options);
    const address = sessions.kind.address(own);
    const key = JSON.stringify([sessions.kind.server(own), address?.host, address?.port]);
    const known = this.#answers.get(key);
    const nowMs = parts.host.monotonicMs();
    const isFresh = known?.endedAtMs === undefined || nowMs - known.endedAtMs < SHARED_MS;
    if (known !== undefined && isFresh) return await known.answer;
    const shared: SharedAnswer = { answer: this.#ask(own, operation), endedAtMs: undefined };
    this.#answers.set(key, shared);
    const health = await shared.answer;
    shared.endedAtMs = parts.host.monotonicMs();
    this.#dropOld(shared.endedAtMs);
    return health;
  }

  /** Servers that nobody has any more are not kept. */
  #dropOld(nowMs: number): void {
    for (const [key, { endedAtMs }] of this.#answers) {
      if (endedAtMs !== undefined && nowMs - endedAtMs > SHARED_MS) this.#answers.delete(key);
    }
  }

  /** In time of its own: the answer is not only for who asked first. */
  async #ask(own: Options, operation: Operation): Promise<StorageHealth> {
    const { sessions, parts } = this.#shop;
    const { kind } = sessions;
    const address = kind.address(own);
    const limit = { limitMs: SERVER_MS_MAX, what: "the answer of the server" };
    const monotonicMs = () => parts.host.monotonicMs();
    const startedAtMs = monotonicMs();
    try {
      await within(limit, unfired(operation), async (inner) => {
        if (address !== undefined) await connectTo(address, inner, monotonicMs);
        await kind.greet?.(own, inner);
      });
      const isAsked = address !== undefined || kind.greet !== undefined;
      return { state: "ready", reason: "", tookMs: isAsked ? monotonicMs() - startedAtMs : null };
    } catch (thrown) {
      return { state: "unreachable", reason: oneLine(messageOf(thrown)), tookMs: null };
    }
  }
}

/** How what is written reaches the server: looked at until nothing is left. */
export function remoteFlush<Options>(shop: Workshop<Options>): FlushCapable {
  const { sessions, layout } = shop;
  return {
    async flush(name, operation, told) {
      operation.signal.throwIfAborted();
      const stored = mustBeStored(shop, name);
      const place = layout.volume(name);
      const mount = sessions.mountAt({ volume: name, place }, stored.options);
      await sessions.kind.hurry?.(mount, operation);
      while (sessions.kind.look !== undefined) {
        const { unsaved, stale } = await sessions.kind.look(mount, operation);
        if (unsaved === undefined || unsaved.fileCount === 0) return;
        told?.(unsaved);
        if (stale !== undefined) {
          const left = `${unsaved.fileCount} files are not on the server`;
          throw new EngineError("remote.unsaved", `volume ${name}: ${left}, and ${stale}`, {
            details: { ...unsaved },
          });
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
