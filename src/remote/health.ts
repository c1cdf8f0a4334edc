// How remote storage is: what is mounted is asked in a helper, what is not is asked for its server,
// once for all volumes of one server.
import type { FlushCapable, HealthCapable, StorageHealth } from "../core/driver.ts";
import { EngineError, messageOf, toEngineError } from "../core/errors.ts";
import type { MountInfo } from "../core/host.ts";
import type { VolumeName } from "../core/names.ts";
import { type Operation, unfired } from "../core/operation.ts";
import type { StorageAnswer } from "../core/storage-answer.ts";
import { connectTo } from "./connect.ts";
import type { Workshop } from "./creation.ts";
import { isFuseDead } from "./fuse-process.ts";
import type { Look } from "./kind.ts";
import { within } from "./limited.ts";
import { mustBeStored, type RemoteMounts } from "./mounts.ts";
import { readOptions, readStoredOptions } from "./options.ts";
import { type StoredVolume, sameOptions } from "./record.ts";
import { testStored } from "./updates.ts";
import { fullHealth, spaceOf, WriteProofs, type WriteQuestion } from "./write-proofs.ts";

/** How long an answer about a server is good for all its volumes, in milliseconds. */
const SHARED_MS = 1_000;

/** Below what the engine waits for an answer, so that silence is one, with all that is known. */
const ASK_MS_MAX = 4_000;
const SERVER_MS_MAX = 4_000;
/** How long a server may take a connection where it was: long before a check is given up. */
const LEFT_BEHIND_MS_MAX = 2_000;

/** Said of what is mounted with an earlier secret or other options than the volume has now. */
const LOGIN_REFUSED = "the server refuses the login of what is mounted, and a new one waits";

const gone: StorageHealth = {
  state: "stale",
  reason: "it is not mounted any more",
  tookMs: null,
};

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
  /** Held, and not mounted: whoever writes would write into a bare directory. */
  const isLost = (name: VolumeName): boolean =>
    mounts.isWanted(name) && sessions.mountedAt(layout.volume(name)) === undefined;
  const { kind } = sessions;
  const proofs = new WriteProofs(shop.parts.host);
  return {
    server(options) {
      try {
        return kind.server(readOptions(kind, options).own);
      } catch {
        // Options of a volume that is there, and are none any more: looks at it will say so. It
        // must stop nothing else.
        return kind.name;
      }
    },
    mountCount: (name) => mounts.mountCount(name),
    isDead:
      kind.program === undefined
        ? undefined
        : (name) => isFuseDead(shop.parts.host, layout.volume(name).run),

    async check(name, operation) {
      const stored = mustBeStored(shop, name);
      try {
        const mounted = sessions.mountedAt(layout.volume(name));
        if (mounted === undefined) {
          proofs.forget(layout.volume(name).data);
          const health = await servers.check(stored, operation);
          return health.state === "ready" && isLost(name) ? gone : health;
        }
        const one: Mounted = { name, stored, mounted, proofs };
        const outdated = await leftBehind(shop, one, operation);
        if (outdated !== undefined && (await servers.check(stored, operation)).state === "ready") {
          return outdated;
        }
        // What keeps writes for later answers for a server that is gone, too. Both at once: nobody
        // waits for the sum of their times.
        const [health, server] = await Promise.all([
          checkMounted(shop, one, operation),
          kind.writeBack !== undefined ? servers.check(stored, operation) : undefined,
        ]);
        if (server === undefined || server.state === "ready") return health;
        // That files cannot be sent is no news of a server that is gone.
        if (health.state !== "ready" && health.state !== "degraded") return health;
        const { unsaved, space } = health;
        return { ...server, unsaved, space };
      } catch (thrown) {
        operation.signal.throwIfAborted();
        return { state: "unreachable", reason: oneLine(messageOf(thrown)), tookMs: null };
      }
    },

    async heal(name, operation) {
      operation.signal.throwIfAborted();
      const stored = mustBeStored(shop, name);
      const mounted = sessions.mountedAt(layout.volume(name));
      if (mounted === undefined) {
        if (isLost(name)) await mounts.replace(name, stored, operation);
        return;
      }
      const one: Mounted = { name, stored, mounted, proofs };
      const { state, reason } =
        (await leftBehind(shop, one, operation)) ?? (await checkMounted(shop, one, operation));
      if (state !== "stale") return;
      if (reason.startsWith(LOGIN_REFUSED)) await mustBeLetIn(shop, name, stored, operation);
      operation.log.warn("what is mounted is dead, and mounted anew", { volume: name, reason });
      await mounts.replace(name, stored, operation);
    },
  };
}

/** What a new login is to replace stays until the server takes that one: else this throws. */
async function mustBeLetIn<Options>(
  shop: Workshop<Options>,
  name: VolumeName,
  stored: StoredVolume,
  operation: Operation,
): Promise<void> {
  const { isTested } = readStoredOptions(shop.sessions.kind, stored.options).common;
  if (isTested) await testStored(shop, name, stored, operation);
}

interface Mounted {
  readonly name: VolumeName;
  readonly stored: StoredVolume;
  readonly mounted: MountInfo;
  readonly proofs: WriteProofs;
}

/**
 * "stale" of what is mounted from where its server was before, and where nobody takes a connection
 * any more: its options have been changed, and could not take effect while somebody had it.
 */
async function leftBehind<Options>(
  { sessions, layout, parts }: Workshop<Options>,
  { name, stored }: Mounted,
  operation: Operation,
): Promise<StorageHealth | undefined> {
  const before = sessions.optionsOf(layout.volume(name));
  if (before === undefined || sameOptions(before, stored.options)) return undefined;
  const address = sessions.kind.address(readOptions(sessions.kind, before).own);
  if (address === undefined) return undefined;
  const limit = { limitMs: LEFT_BEHIND_MS_MAX, what: "the connection to where it was" };
  try {
    await within(limit, operation, (inner) =>
      connectTo(address, inner, () => parts.host.monotonicMs()),
    );
    return undefined;
  } catch (thrown) {
    operation.signal.throwIfAborted();
    const reason = `its server has moved: ${oneLine(messageOf(thrown))}`;
    return { state: "stale", reason, tookMs: null };
  }
}

async function checkMounted<Options>(
  { sessions, layout }: Workshop<Options>,
  { name, stored, mounted, proofs }: Mounted,
  operation: Operation,
): Promise<StorageHealth> {
  const place = layout.volume(name);
  const options = sessions.optionsOf(place) ?? stored.options;
  const mount = sessions.mountAt({ volume: name, place }, stored.options);
  const look: Look = (await sessions.kind.look?.(mount, operation)) ?? {};
  const { stale, degraded, unsaved } = look;
  if (stale !== undefined) return { state: "stale", reason: stale, tookMs: null, unsaved };
  const isReadOnly = mount.isReadOnly || mounted.options.includes("ro");
  const question: WriteQuestion = {
    ...{ directory: place.data, mounted },
    proof: isReadOnly ? undefined : sessions.kind.writeProof,
    hasTakenWrites: readStoredOptions(sessions.kind, options).common.isTested,
  };
  const asked = await askMounted(proofs, question, operation);
  if ("state" in asked) {
    const isRefused = sessions.kind.isLoginRefused?.(asked.reason) === true;
    if (!isRefused || !sessions.isWaiting(place)) return { ...asked, unsaved };
    return { ...asked, state: "stale", reason: `${LOGIN_REFUSED}: ${asked.reason}`, unsaved };
  }
  const { tookMs } = asked;
  const isReal = asked.space === undefined || sessions.kind.isInvented?.(asked.space) !== true;
  const room = isReal ? asked.space : undefined;
  const facts = { tookMs, unsaved, space: spaceOf(room) };
  if (!mount.isReadOnly && isReadOnly) {
    return { state: "read-only", reason: "it is mounted read-only", ...facts };
  }
  const isRefused = await proofs.refusal(question, tookMs, operation);
  if (isRefused !== undefined) return { state: "read-only", reason: isRefused, ...facts };
  if (degraded !== undefined) return { state: "degraded", reason: degraded, ...facts };
  const refusal = await sessions.kind.writeBack?.refusal(mount, operation);
  if (refusal !== undefined) {
    return { state: "unreachable", reason: oneLine(refusal), tookMs: null, unsaved };
  }
  const full = isReadOnly ? undefined : fullHealth(room);
  return { state: "ready", reason: "", ...full, ...facts };
}

/** A sign of life, or what is to be said where there was none. */
async function askMounted(
  proofs: WriteProofs,
  question: WriteQuestion,
  operation: Operation,
): Promise<StorageAnswer | StorageHealth> {
  const limit = { limitMs: ASK_MS_MAX, what: "the answer of the storage" };
  try {
    return await within(limit, operation, (inner) => proofs.ask(question, inner));
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
