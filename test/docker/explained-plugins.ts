// Differences of plugin exchanges between the recordings and Holdfast: see explained.ts.
import type { Expectation, Explained } from "./explained.ts";
import type { RecordingName } from "./recordings.ts";

const badRequest = "400 Bad Request";

/** The headings that docs/deviations.md must have. */
export const pluginHeadings = {
  callersMistake: "A mistake in a request about plugins is the caller's",
  missingTag: "A plugin's tag that is not there, in a registry without TLS",
  noRegistry: "A registry that cannot be read is an error",
  privilegesFirst: "Privileges are looked at before anything is downloaded",
  ownSockets: "Where the sockets of managed plugins are",
  ownPath: "Where a plugin's volume lies",
  staysInUse: "A plugin is in use while a volume of it is known",
  unanswered: "A plugin that does not answer",
  freesName: "rm -f frees the name",
} as const;

/** Differences of the older engine, expected as 1.43 has them. */
export const pluginQuirks: readonly Explained[] = [
  {
    recording: "06",
    at: [30],
    why: { quirk: "the texts of filter errors begin with a capital letter" },
    expect: { message: "invalid filter 'foo'" },
  },
  {
    recording: "06",
    at: [32],
    why: { quirk: "the texts of filter errors begin with a capital letter" },
    expect: { message: "invalid filter 'enabled=[maybe]'" },
  },
  {
    recording: "20",
    at: [76],
    why: { quirk: "an empty body is refused" },
    expect: { status: "404 Not Found", message: 'plugin "x" not found' },
  },
];

function deviation(
  recording: RecordingName,
  at: readonly number[],
  heading: keyof typeof pluginHeadings,
  expect: Expectation,
): Explained {
  return { recording, at, why: { deviation: pluginHeadings[heading] }, expect };
}

const mistakes: Expectation = { status: badRequest };

const unreadable: Expectation = {
  status: "500 Internal Server Error",
  bodyLike: /^\{"message":"error resolving plugin reference: .+"\}$/,
};

const refusedFirst: Expectation = {
  status: "200 OK",
  headers: { "docker-plugin-name": "127.0.0.1:5000/vp:v1" },
  bodyLike:
    /^\{"lines":\[\{"errorDetail":\{"message":"incorrect privileges"\}.*\],"layers":\{\}\}$/,
};

const raw = (["20", "21"] as const).flatMap((recording): readonly Explained[] => [
  deviation(recording, [68, 69, 71, 79, 81], "callersMistake", mistakes),
  deviation(recording, [70], "noRegistry", unreadable),
]);

/** What the plugin calls the place, and what it is on the host. */
function onHost(id: string, volume: string): Expectation {
  const path = `/var/lib/docker/plugins/${id}/propagated-mount/${volume}`;
  return { replace: [[`"/mnt/volumes/${volume}"`, `"${path}"`]] };
}

const vp = "05463a8148422ca5bfe355dcfa531b2faa12e6d837c2838ba32164a44441c27d";

/** A volume of a plugin that is stopped, in the compared form. */
const disabledVolume = (driver: string, name: string) =>
  new RegExp(
    `^\\{"CreatedAt":"<time>","Driver":"${driver}",.*"Name":"${name}".*"state":"disabled"`,
  );

const freed: Expectation = { status: "204 No Content", isEmpty: true };

/** What a create of the freed name makes. */
const ownVolume: Expectation = {
  status: "201 Created",
  bodyLike: /^\{"CreatedAt":"<time>","Driver":"local",.*"Name":"m2",/,
};

/** Plugins that the recorded engine had met before, and that do not run here. */
const warningsOfOthers = JSON.stringify([
  'list xdrv: Post "http://plugin.moby.localhost/VolumeDriver.List": ' +
    "dial unix /run/docker/plugins/xdrv.sock: connect: no such file or directory",
  'list legvol: Post "http://plugin.moby.localhost/VolumeDriver.List": ' +
    "dial unix /run/docker/plugins/legvol.sock: connect: no such file or directory",
  'list test-external-volume-driver: Post "http://127.0.0.1:40955/VolumeDriver.List": ' +
    "dial tcp 127.0.0.1:40955: connect: connection refused",
]);

export const pluginDeviations: readonly Explained[] = [
  ...raw,
  deviation("06", [57], "ownPath", onHost(vp, "pv1")),
  deviation("06", [75], "ownPath", { replace: [['"/mnt/volumes/pv1"', '""']] }),
  deviation("06", [71], "callersMistake", { status: "409 Conflict" }),
  deviation("06", [94], "freesName", freed),
  deviation("06", [98], "staysInUse", {
    status: "409 Conflict",
    headers: { "content-type": "application/json" },
    message: "plugin 127.0.0.1:5000/vp:v1 is in use",
  }),
  deviation("06", [102], "unanswered", { bodyLike: /"Name":"pv3"/ }),
  deviation("06", [104], "unanswered", {
    status: "200 OK",
    bodyLike: disabledVolume("127.0.0.1:5000/vp:v1", "pv3"),
  }),
  deviation("06", [106], "unanswered", {
    status: "409 Conflict",
    bodyLike: /found but disabled/,
  }),
  deviation("07", [85], "noRegistry", unreadable),
  deviation("07", [86], "missingTag", {
    message: "error resolving plugin reference: 127.0.0.1:5000/vp:nosuch: not found",
  }),
  deviation("07", [109], "ownSockets", {
    bodyLike:
      /^\{"message":"dial unix \/run\/holdfast\/.*\.sock: connect: no such file or directory"\}$/,
  }),
  deviation("13", [10], "ownPath", { bodyLike: /"Mountpoint":"[^"]*\/propagated-mount\/m1"/ }),
  deviation("13", [12], "unanswered", { replace: [[warningsOfOthers, "null"]] }),
  deviation("13", [35], "unanswered", {
    status: "200 OK",
    bodyLike: disabledVolume("mp:latest", "m2"),
  }),
  deviation("13", [39, 47, 51], "freesName", freed),
  deviation("13", [41, 49], "freesName", ownVolume),
  deviation("13", [45], "freesName", { ...ownVolume, status: "200 OK" }),
  deviation("20", [77, 78], "privilegesFirst", refusedFirst),
  deviation("21", [77, 78], "privilegesFirst", refusedFirst),
];
