// rclone's configuration of one mount: the sections of a secret and the settings in options.
import { EngineError } from "../../core/errors.ts";
import { obscure, reveal } from "./obscure.ts";
import {
  backendOf,
  checkPrefix,
  isPlainRemote,
  prefixOf,
  programKeys,
  type RcloneOptions,
} from "./options.ts";

/** A file for `--config`, and what the remote is called in it. */
export interface RcloneConfig {
  /** With credentials: for a file of mode 0600. */
  readonly text: string;
  /** `NAME:PATH` as rclone takes it, with the path below the share. */
  readonly remote: string;
  /** The backend's type. */
  readonly backend: string;
  /** Values that no message may have. */
  readonly secrets: readonly string[];
}

/** Keys by which rclone's configuration says what is no secret. */
const plainKeys = new Set(["type", "provider", "region", "endpoint", "url", "vendor", "host"]);

type Section = Map<string, string>;

/** Backends whose configuration has `user` and `pass`. */
const withPassword = /^(webdav|sftp|smb|ftp|mailru|seafile|http)$/;

/** What secrets of other drivers say, too: `username`, and a `password` as it is typed. */
function takePassword(section: Section): void {
  if (!withPassword.test(section.get("type") ?? "")) return;
  const password = section.get("password");
  const user = section.get("username");
  if (password !== undefined && !section.has("pass")) section.set("pass", obscure(password));
  if (user !== undefined && !section.has("user")) section.set("user", user);
  section.delete("password");
  section.delete("username");
}

/**
 * Joins a secret's text ("": none) and the options. Throws `secret.invalid` for what is not
 * rclone's format, `volume.option_invalid` for settings of another backend. No message has a value
 * of the secret.
 */
export function rcloneConfig(
  options: RcloneOptions,
  secretText: string,
  subpath: string,
): RcloneConfig {
  const { bare, sections } = readSecret(secretText);
  const section = sections.get(options.remote) ?? new Map();
  for (const [key, value] of bare) if (!section.has(key)) section.set(key, value);
  if (!section.has("type")) section.set("type", backendOf(options.remote));
  takePassword(section);
  for (const [name, value] of options.settings) {
    const prefix = prefixOf(section.get("type") ?? "");
    checkPrefix(name, prefix);
    section.set(name.slice(prefix.length + 1).replaceAll("-", "_"), value);
  }
  sections.set(options.remote, section);
  for (const each of sections.values()) refusePrograms(each);
  return {
    text: [...sections].map(([name, entries]) => writeSection(name, entries)).join("\n"),
    backend: section.get("type") ?? "",
    remote: `${options.remote}:${joined(options.path, subpath)}`,
    secrets: secretsIn([bare, ...sections.values()], secretText),
  };
}

/** A secret is data: it may not say what root runs, be it through a remote that it stands on. */
function refusePrograms(section: Section): void {
  for (const [key, value] of section) {
    const isProgram = programKeys.has(key);
    const isRemote = key === "remote" || key === "upstreams";
    if (!isProgram && (!isRemote || isPlainRemote(value))) continue;
    const why = isProgram
      ? "would have root run a program"
      : "has settings in a remote's name: give that remote a section of its own";
    throw new EngineError("secret.invalid", `the secret cannot be used: its key ${key} ${why}`);
  }
}

/**
 * Short ones are words of any message, and what comes from options is no secret. A server may
 * repeat what it was sent, as HTTP has it: in base64 with the user, or with `%`.
 */
function secretsIn(all: readonly Section[], secretText: string): readonly string[] {
  const found = all.flatMap((section) => {
    const user = section.get("user") ?? "";
    const values = [...section].filter(([, value]) => secretText.includes(value));
    const passwords = ["pass", "password"].flatMap((key) => section.get(key) ?? []);
    const revealed = passwords.flatMap((value) => [value, reveal(value)]);
    const sent = revealed.map((value) => Buffer.from(`${user}:${value}`).toString("base64"));
    return [
      ...values.flatMap(([key, value]) => (plainKeys.has(key) ? inAddress(value) : [value])),
      ...revealed,
      ...sent.map((each) => each.replace(/=+$/, "")),
    ];
  });
  const long = found.filter((value) => value.length > 3);
  const spelled = long.flatMap((value) => [value, obscure(value), encodeURIComponent(value)]);
  return [...new Set(spelled)];
}

/** What opens something in an address: the password before the host, all behind the `?`. */
function inAddress(value: string): readonly string[] {
  const { password = "", query = "" } =
    /^(?:\w+:\/\/[^/@:]*:(?<password>[^/]*)@)?[^?]*(?:\?(?<query>.*))?$/.exec(value)?.groups ?? {};
  return [password, query];
}

/** The directory `subpath` below `path`, as rclone names it. */
export function joined(path: string, subpath: string): string {
  if (subpath === "") return path;
  return path === "" || path.endsWith("/") ? `${path}${subpath}` : `${path}/${subpath}`;
}

function writeSection(name: string, entries: Section): string {
  return `[${name}]\n${[...entries].map(([key, value]) => `${key} = ${value}\n`).join("")}`;
}

function readSecret(text: string): { bare: Section; sections: Map<string, Section> } {
  const bare: Section = new Map();
  const [only = "", ...more] = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  // Nothing but a password.
  if (more.length === 0 && !/^\s*[[;#]|=/.test(only)) {
    return { bare: only === "" ? bare : bare.set("password", only), sections: new Map() };
  }
  const sections = new Map<string, Section>();
  let current = bare;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    const header = /^\[([^\]]+)\]$/.exec(line)?.[1];
    if (header !== undefined) {
      current = sections.get(header) ?? new Map();
      sections.set(header, current);
      continue;
    }
    const [, key, value] = /^([A-Za-z0-9_]+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) {
      const message = `line ${index + 1} of the secret is neither [SECTION] nor KEY = VALUE`;
      throw new EngineError("secret.invalid", `${message}, as in rclone's configuration`);
    }
    current.set(key, value);
  }
  return { bare, sections };
}
