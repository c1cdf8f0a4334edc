// Every difference between the recordings and Holdfast, each with its reason and what is expected.
//
// Recordings 11, 13 and 21 (API 1.43) are the reference: a difference there is a deviation, with an
// entry in docs/deviations.md. The others were made with an older engine (API 1.41): where the two
// engines differ, the entry names the quirk and expects what 1.43 does. An entry whose exchange is
// answered as recorded again fails the replay.
import { pluginDeviations, pluginHeadings, pluginQuirks } from "./explained-plugins.ts";
import type { Exchange, RecordingName } from "./recordings.ts";
import { requestLine } from "./selection.ts";

/** `deviation` is a heading of docs/deviations.md. */
export type Why = { readonly quirk: string } | { readonly deviation: string };

export interface Expectation {
  readonly status?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The whole body is `{"message": …}`. */
  readonly message?: string;
  /** Replacements in the recorded body, in its compared form. */
  readonly replace?: readonly (readonly [string, string])[];
  /** The body in its compared form, where it holds a fresh name or a text of our choice. */
  readonly bodyLike?: RegExp;
  /** There is no body, and nothing that speaks of one. */
  readonly isEmpty?: true;
}

export interface Explained {
  readonly recording: RecordingName;
  /** The exchanges by index, or all with a request line that matches. */
  readonly at: readonly number[] | RegExp;
  readonly why: Why;
  readonly expect: Expectation;
  /** Afterwards the volumes are brought into the state that the recording goes on with. */
  readonly bringIntoStep?: true;
}

const badRequest = "400 Bad Request";
const isPing = /^(GET|HEAD) \/_ping$/;

/** A new engine says what it builds with and that there is no swarm. */
const pingHeaders = { "builder-version": "2", swarm: "inactive" };

function pings(recording: RecordingName): Explained {
  const why = { quirk: "_ping names neither a builder nor a swarm" };
  return { recording, at: isPing, why, expect: { headers: pingHeaders } };
}

function message(
  recording: RecordingName,
  at: readonly number[],
  quirk: string,
  expected: string,
): Explained {
  return { recording, at, why: { quirk }, expect: { message: expected } };
}

const anonymousLabel: Expectation = {
  replace: [['"Labels":null', '"Labels":{"com.docker.volume.anonymous":""}']],
};

/** A volume with a name made anew, which no recorded name stands for, in the compared form. */
const freshVolume = new RegExp(
  [
    '^{"CreatedAt":"<time>","Driver":"local","Labels":{"com.docker.volume.anonymous":""},',
    '"Mountpoint":"/var/lib/docker/volumes/([0-9a-f]{64})/_data","Name":"\\1",',
    '"Options":null,"Scope":"local"}$',
  ].join(""),
);

const capital = "the texts of filter errors begin with a capital letter";
const decoder = "errors of the JSON decoder come without a prefix";
const decoderInFilters = "filter errors show the JSON decoder's text";

const quirks: readonly Explained[] = [
  pings("01"),
  {
    recording: "01",
    at: [1],
    why: { quirk: "a volume without a name has no label that says so" },
    expect: anonymousLabel,
    bringIntoStep: true,
  },
  {
    recording: "01",
    at: [35],
    why: { quirk: "a size that cannot be read is the engine's fault (500)" },
    expect: { status: badRequest },
  },
  pings("02"),
  message("02", [27], capital, "invalid filter 'dangling=[maybe]'"),
  {
    recording: "02",
    at: [29],
    why: { quirk: "of both truth values true wins" },
    expect: { status: badRequest, message: "invalid filter 'dangling=[false true]'" },
  },
  message("02", [31], capital, "invalid filter 'scope'"),
  message("02", [33], capital, "invalid filter 'label!'"),
  message("02", [35], capital, "invalid filter 'foo'"),
  message("02", [78], "a missing image is said to be missing twice", "No such image: v1:latest"),
  pings("03"),
  pings("06"),
  pings("07"),
  pings("20"),
  {
    recording: "20",
    at: [13, 14],
    why: { quirk: "there is no update of volumes" },
    expect: {
      status: "503 Service Unavailable",
      headers: {
        "api-version": "<newest>",
        "docker-experimental": "false",
        ostype: "linux",
        server: "<product>/<version> (linux)",
      },
      message: "volume update only valid for cluster volumes, but swarm is unavailable",
    },
  },
  {
    recording: "20",
    at: [15, 16],
    why: { quirk: "an empty body is refused" },
    expect: { status: "201 Created", bodyLike: freshVolume },
    bringIntoStep: true,
  },
  message(
    "20",
    [17],
    decoder,
    "invalid JSON: invalid character 'b' looking for beginning of object key string",
  ),
  {
    recording: "20",
    at: [18],
    why: { quirk: "what follows the first JSON value is ignored" },
    expect: { status: badRequest, message: "unexpected content after JSON" },
    bringIntoStep: true,
  },
  message(
    "20",
    [19],
    decoder,
    "invalid JSON: json: cannot unmarshal array into Go value of type volume.CreateOptions",
  ),
  message(
    "20",
    [20],
    decoder,
    "invalid JSON: json: cannot unmarshal number into " +
      "Go struct field CreateOptions.Name of type string",
  ),
  message(
    "20",
    [21],
    "another text for a Content-Type that is not JSON",
    "unsupported Content-Type header (text/plain): must be 'application/json'",
  ),
  {
    recording: "20",
    at: [22],
    why: { quirk: "a volume without a name has no label that says so" },
    expect: anonymousLabel,
    bringIntoStep: true,
  },
  message("20", [35, 37, 48], decoderInFilters, "error reading volume filters: invalid filter"),
  {
    recording: "20",
    at: [39],
    why: { quirk: "an empty list of truth values is no filter" },
    expect: { status: badRequest, message: "invalid filter 'dangling'" },
  },
  message("20", [40], capital, "invalid filter 'dangling=[True]'"),
  message("20", [41], capital, "invalid filter 'dangling=[t]'"),
  message("20", [64], capital, "invalid filter 'until'"),
  {
    recording: "20",
    at: [59, 60, 61, 62],
    why: { quirk: "system df has a BuilderSize, which newer engines leave out when it is 0" },
    expect: { replace: [[',"BuilderSize":0}', "}"]] },
  },
  {
    recording: "20",
    at: [65],
    why: { quirk: "a filter that is not JSON is the engine's fault (500)" },
    expect: { status: badRequest, message: "invalid filter" },
  },
  ...pluginQuirks,
];

/** The headings that docs/deviations.md must have. */
export const deviationHeadings = {
  ownVersion: "Server header and version",
  longNames: "A name that is too long",
  laterSpace: "Space is freed later, and counted then",
  ...pluginHeadings,
} as const;

function tooOld(recording: RecordingName): Explained {
  return {
    recording,
    at: [4],
    why: { deviation: deviationHeadings.ownVersion },
    expect: { replace: [["API version is 1.12,", "API version is 1.24,"]] },
  };
}

function tooLong(recording: RecordingName): Explained {
  return {
    recording,
    at: [27],
    why: { deviation: deviationHeadings.longNames },
    expect: {
      status: badRequest,
      message:
        `create ${"a".repeat(256)}: volume name is too long (256 bytes), ` +
        "names should be at most 255 bytes",
    },
  };
}

/** A prune of volumes with data: it lies in the trash. */
const laterSpace: Explained = {
  recording: "11",
  at: [68],
  why: { deviation: deviationHeadings.laterSpace },
  expect: { replace: [['"SpaceReclaimed":3', '"SpaceReclaimed":0']] },
};

const deviations: readonly Explained[] = [
  ...[tooOld("20"), tooOld("21"), tooLong("20"), tooLong("21")],
  laterSpace,
  ...pluginDeviations,
];

/** What Holdfast answers otherwise than recorded. */
export const explainedForHoldfast: readonly Explained[] = [...quirks, ...deviations];

/** True when an entry speaks of the exchange. */
export function isAbout({ recording, at }: Explained, exchange: Exchange): boolean {
  if (recording !== exchange.recording) return false;
  return at instanceof RegExp ? at.test(requestLine(exchange)) : at.includes(exchange.index);
}
