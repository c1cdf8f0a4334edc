// Which recorded exchanges are replayed, which are left out and why, and what stands in for them.
import type { Exchange, RecordingName } from "./recordings.ts";

/** Exchanges that are not replayed. A rule that leaves out nothing fails the replay. */
export interface LeaveOut {
  readonly reason: string;
  /** Matched against `METHOD /path` without the version. */
  readonly request?: RegExp;
  readonly recording?: RecordingName;
  readonly indexes?: readonly number[];
}

export const leaveOut: readonly LeaveOut[] = [
  {
    reason: "a container engine's own work (create, start, wait, remove containers)",
    request: /^\w+ \/containers\/(create|[0-9a-f]{64}|c\d+|pc)/,
  },
  {
    reason: "the volume is refused because a container has it",
    recording: "13",
    indexes: [20],
  },
  {
    reason: "the plugin was killed, and had its volumes in memory",
    recording: "13",
    indexes: [25],
  },
  { reason: "tells of a whole container engine", request: /^GET \/info$/ },
  {
    reason: "the volume is refused because a container has it",
    recording: "03",
    indexes: [10, 12, 32],
  },
  {
    reason: "the volume is refused because a container has it",
    recording: "11",
    indexes: [45, 47],
  },
  { reason: "dangling while a container has volumes", recording: "03", indexes: [14, 16] },
  {
    reason: "system df that counts references of a container",
    recording: "03",
    indexes: [36, 38, 40, 42],
  },
  {
    reason: "a volume of the legacy plugin legvol, which does not run here",
    recording: "11",
    indexes: [73, 79, 81],
  },
];

/** Where nobody answers at the recorded registry. */
export const leaveOutOfRegistries: readonly LeaveOut[] = ["20", "21"].map(
  (recording): LeaveOut => ({
    reason: "pulls from a registry",
    recording: recording === "20" ? "20" : "21",
    indexes: [77, 78],
  }),
);

/** A volume to be made by hand, so that what follows meets the state it was recorded in. */
export interface MadeByHand {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string>>;
}

/** A request by hand, in the words of the recordings. */
export interface Deed {
  readonly method: "DELETE" | "POST";
  readonly path: string;
  /** The body is what was sent to make the plugin of this name. */
  readonly upload?: string;
}

/**
 * What a left-out exchange did, or what was done after an exchange and not recorded, done by hand
 * in its place.
 */
export interface StandIn {
  readonly recording: RecordingName;
  readonly index: number;
  readonly did: string;
  readonly deeds?: readonly Deed[];
  /** Where commands are typed again, so is this one: only its exchange was not recorded. */
  readonly isTyped?: true;
  /** Afterwards it is waited until the list of volumes has this text. */
  readonly untilListed?: string;
  readonly create?: readonly MadeByHand[];
  readonly remove?: readonly string[];
  /** A file in a volume, as the container wrote it. */
  readonly write?: { readonly volume: string; readonly file: string; readonly text: string };
}

function createOf(name: string): Deed {
  const path = `/plugins/create?name=${encodeURIComponent(name)}`;
  return { method: "POST", path, upload: name };
}

const anonymous = { "com.docker.volume.anonymous": "" };

export const standIns: readonly StandIn[] = [
  {
    recording: "03",
    index: 5,
    did: "docker run -v v1:/data -v /anon made an anonymous volume",
    create: [{ name: "269712a756bc057316afdd4862ad4c30df5090009e8fc253cbd9f3420738a58f" }],
  },
  {
    recording: "03",
    index: 55,
    did: "docker create -v /anon made an anonymous volume",
    create: [{ name: "6c584e7911b7f355ac27a3aeabdbb608573969265319e7d698ac135ec802c921" }],
  },
  {
    recording: "03",
    index: 59,
    did: "docker rm -v removed it",
    remove: ["6c584e7911b7f355ac27a3aeabdbb608573969265319e7d698ac135ec802c921"],
  },
  {
    recording: "06",
    index: 55,
    did: "the plugin was asked for the volume, which is done in the background",
    untilListed: "/propagated-mount/pv1",
  },
  {
    recording: "06",
    index: 94,
    did: "the volume whose removal its plugin refused came back with its list",
    untilListed: '"pv3"',
  },
  {
    recording: "06",
    index: 98,
    did: "docker plugin disable: of a plugin whose volume is known it must be forced",
    deeds: [{ method: "POST", path: "/plugins/127.0.0.1:5000/vp:v1/disable?force=1" }],
  },
  {
    recording: "07",
    index: 4,
    did: "docker plugin create 127.0.0.1:5000/vp:v2 was not recorded",
    isTyped: true,
    deeds: [createOf("127.0.0.1:5000/vp:v2")],
  },
  {
    recording: "07",
    index: 106,
    did: "docker plugin create bad:nosock was not recorded",
    isTyped: true,
    deeds: [createOf("bad:nosock")],
  },
  {
    recording: "13",
    index: 8,
    did: "the plugin was asked for the volume, which is done in the background",
    untilListed: "/propagated-mount/m1",
  },
  {
    recording: "11",
    index: 36,
    did: "docker run made an anonymous volume and wrote three bytes into v1",
    create: [
      {
        name: "7232f223a254659b4479ea83bec306ab18431c6922516f47dc9fdee02b9e1fe4",
        labels: anonymous,
      },
    ],
    write: { volume: "v1", file: "f", text: "hi\n" },
  },
  { recording: "11", index: 96, did: "docker create made v1", create: [{ name: "v1" }] },
  {
    recording: "11",
    index: 98,
    did: "docker create made mlab with labels and options",
    create: [{ name: "mlab", labels: { k: "v" }, options: { device: "tmpfs", type: "tmpfs" } }],
  },
  {
    recording: "11",
    index: 113,
    did: "a refused docker create left vv behind",
    create: [{ name: "vv" }],
  },
];

/**
 * Recordings that began on an engine with volumes, and the exchange whose list names them all:
 * 02 went on where 01 had ended, 21 where 11 had.
 */
export const seededFrom: Partial<Readonly<Record<RecordingName, number>>> = {
  "02": 1,
  "13": 12,
  "21": 5,
};

const v1 = "127.0.0.1:5000/vp:v1";

const pushed: readonly Deed[] = [createOf(v1), { method: "POST", path: `/plugins/${v1}/push` }];
const onlyPushed: readonly Deed[] = [...pushed, { method: "DELETE", path: `/plugins/${v1}` }];

/** 07 went on where 06 had ended; the registry had kept what was pushed there. */
export const doneBefore: Partial<Readonly<Record<RecordingName, readonly Deed[]>>> = {
  "07": pushed,
  "13": onlyPushed,
  "20": onlyPushed,
  "21": onlyPushed,
};

/** The rule that leaves an exchange out, if there is one. */
export function ruleFor(rules: readonly LeaveOut[], exchange: Exchange): LeaveOut | undefined {
  return rules.find(
    (rule) =>
      (rule.recording === undefined || rule.recording === exchange.recording) &&
      (rule.indexes === undefined || rule.indexes.includes(exchange.index)) &&
      (rule.request === undefined || rule.request.test(requestLine(exchange))),
  );
}

/** `METHOD /path?query` without the version in the path. */
export function requestLine(exchange: Exchange): string {
  const { method, path } = exchange.request;
  return `${method} ${path.replace(/^\/v\d+\.\d+\//, "/")}`;
}
