// The routes of locks as data: taking, holding by a connection, renewing, releasing, stealing.
import {
  LEASE_TERMS_WAIT_MS_MAX,
  LEASE_TTL_MS_MAX,
  LEASE_TTL_MS_MIN,
  leaseModes,
} from "../../core/lease-service.ts";
import { LOCK_LABEL_LENGTH_MAX } from "../../core/lock.ts";
import { instant, type RouteContract, type Schema, text, textOrNull } from "./route-contract.ts";

/** Seconds, with fractions. */
const ttl = {
  type: "number",
  minimum: LEASE_TTL_MS_MIN / 1_000,
  maximum: LEASE_TTL_MS_MAX / 1_000,
} as const;
const wait = { type: "number", minimum: 0, maximum: LEASE_TERMS_WAIT_MS_MAX / 1_000 } as const;

/** A whole number of up to 16 digits and more: as text, because not every JSON has such numbers. */
const fence = { type: "string", pattern: "^[0-9]+$" } as const;

const wanted = {
  /** "exclusive" unless given. */
  mode: { type: "string", enum: leaseModes },
  /** Seconds that it lives without being renewed; 30 unless given. */
  ttl,
  /** Seconds that it is waited for; 0 unless given. */
  wait,
  /** What the holder calls itself, for lists. */
  label: { type: "string", maxLength: LOCK_LABEL_LENGTH_MAX },
  /** The process that has it; the caller's own unless given. */
  pid: { type: "integer", minimum: 1 },
} as const;

const lease = {
  /** What renews and releases it: nobody else's business. */
  id: text,
  volume: text,
  lock: text,
  mode: { enum: leaseModes },
  /** Larger than that of every grant before. */
  fence,
  since: instant,
  expires: instant,
} as const;

const granted = {
  type: "object",
  required: ["id", "volume", "lock", "mode", "fence", "since", "expires"],
  properties: lease,
} as const satisfies Schema;

const list = {
  type: "object",
  required: ["locks"],
  properties: {
    locks: {
      type: "array",
      items: {
        type: "object",
        required: ["volume", "lock", "mode", "fence", "holder", "since", "expires", "waiting"],
        properties: {
          volume: text,
          lock: text,
          mode: { enum: leaseModes },
          fence,
          holder: {
            type: "object",
            required: ["pid", "program", "label", "container", "name"],
            properties: {
              /** 0: not known. */
              pid: { type: "integer", minimum: 0 },
              program: text,
              label: text,
              /** Its id; null: it is in none that is known. */
              container: textOrNull,
              /** What its engine calls the container. */
              name: textOrNull,
            },
          },
          since: instant,
          expires: instant,
          /** How many wait for it. */
          waiting: { type: "integer", minimum: 0 },
        },
      },
    },
  },
} as const satisfies Schema;

const place = "volumes/{name}/locks/{lock}";

/** What containers may use too: `GET locks` has nothing of others' volumes there. */
export const commonLockRoutes = {
  locks: {
    method: "GET",
    path: "locks",
    summary: "What is locked, the oldest grant first, and who has it; never an id.",
    query: {},
    reply: list,
  },
  volumeLocks: {
    method: "GET",
    path: "volumes/{name}/locks",
    summary: "What is locked of a volume.",
    query: {},
    reply: list,
  },
  holdLock: {
    method: "POST",
    path: `${place}/hold`,
    summary:
      "Takes a lock for as long as the connection lasts, which must renew it all the same. " +
      "Answers with events: `queued` with a place, `granted`, then `lost` or nothing; `refused` " +
      "instead. What is refused before the first one has its status. A comment comes every 5 " +
      "seconds. With `id` it goes on with a lock that another connection had, as after a restart " +
      "of the daemon.",
    query: {},
    body: { type: "object", properties: { ...wanted, id: text } },
    reply: {
      type: "object",
      properties: {
        /** Of `queued`: 1 is next. */
        place: { type: "integer", minimum: 1 },
        ...lease,
        /** Of `lost` and `refused`, the last event. */
        code: text,
        message: text,
        recovery: text,
      },
    },
    isEventStream: true,
  },
  acquireLock: {
    method: "POST",
    path: place,
    summary:
      "Takes a lock, or is refused with who has it. It is freed by its time, unless it is " +
      "renewed, and with the bond `process` by the end of that process, too. Whoever goes away " +
      "while it waits gets nothing.",
    query: {},
    body: {
      type: "object",
      properties: {
        ...wanted,
        /** "process": it is freed when the process of `pid` ends. "none" unless given. */
        bond: { type: "string", enum: ["process", "none"] },
        /**
         * The id that it is to have: 32 hex digits, as random. Asked for once more with the same
         * one, as after a broken connection, the answer is the same grant; of another mode or bond
         * it is refused.
         */
        id: { type: "string", pattern: "^[0-9a-f]{32}$" },
      },
    },
    reply: granted,
  },
  renewLock: {
    method: "PUT",
    path: `${place}/leases/{id}`,
    summary: "A lock lives on, for its time or a new one, from now.",
    query: {},
    body: { type: "object", properties: { ttl } },
    reply: granted,
  },
  releaseLock: {
    method: "DELETE",
    path: `${place}/leases/{id}`,
    summary: "Frees a lock. Whoever had lost it is told so.",
    query: {},
    reply: undefined,
  },
} as const satisfies Readonly<Record<string, RouteContract>>;

export const lockRoutes = {
  ...commonLockRoutes,
  stealLock: {
    method: "DELETE",
    path: place,
    summary: "Takes a lock away from its holder, who is told; the next one gets it.",
    query: { fence: { schema: fence, about: "Whose: the fence of the grant. Needed." } },
    reply: undefined,
  },
} as const satisfies Readonly<Record<string, RouteContract>>;
