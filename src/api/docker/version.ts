// Docker's API versions: the prefix of a path, compared by numbers.
import { API_VERSION, API_VERSION_MIN } from "../facts.ts";

/** Major and minor number. */
export type ApiVersion = readonly [major: number, minor: number];

/** What a path begins with. */
export type VersionedPath =
  | { readonly kind: "path"; readonly version: ApiVersion; readonly path: string }
  | { readonly kind: "too_old" | "too_new"; readonly text: string };

export const newest = parse(API_VERSION);
export const oldest = parse(API_VERSION_MIN);

const prefix = /^\/v([0-9][0-9A-Za-z.-]*)(\/.*)$/;

/** No prefix means the newest version; what does not look like a version belongs to the path. */
export function splitVersion(path: string): VersionedPath {
  if (path.charCodeAt(1) !== 0x76 /* v */) return { kind: "path", version: newest, path };
  const match = prefix.exec(path);
  if (match === null) return { kind: "path", version: newest, path };
  const text = match[1] ?? "";
  const version = parse(text);
  if (!atLeast(version, oldest)) return { kind: "too_old", text };
  if (!atLeast(newest, version)) return { kind: "too_new", text };
  return { kind: "path", version, path: match[2] ?? "" };
}

/** Numeric comparison, part by part; what is no number counts as 0 (moby's rule). */
export function atLeast(version: ApiVersion, wanted: ApiVersion): boolean {
  return version[0] !== wanted[0] ? version[0] > wanted[0] : version[1] >= wanted[1];
}

function parse(text: string): ApiVersion {
  const [major, minor] = text.split(".");
  return [whole(major), whole(minor)];
}

function whole(text: string | undefined): number {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : 0;
}
