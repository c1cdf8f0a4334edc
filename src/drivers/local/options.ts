// The options of the `local` driver: Docker's `type`, `o`, `device` and `size`, with Docker's
// texts.
import type { DriverOptions } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import type { FixedOwner } from "../../core/fixed-owner.ts";
import { goQuote } from "../../core/names.ts";

/** What a volume with `type` and `device` is when it is mounted. */
export interface LocalMount {
  readonly type: string;
  readonly device: string;
  /** The words of `o`, comma-separated; "" when there are none. */
  readonly options: string;
}

/** What `docs/drivers/local.md` describes. */
export const knownOptions: ReadonlySet<string> = new Set(["type", "o", "device", "size"]);

/**
 * Longest value of an option in characters. The kernel takes one page of mount options; and what is
 * written to the options file must be short enough to be read again.
 */
const VALUE_LENGTH_MAX = 16_384;

/** Which option needs which others: moby's table, asked in this order so that answers repeat. */
const neededOptions: readonly (readonly [string, readonly string[]])[] = [
  ["type", ["device"]],
  ["device", ["type"]],
  ["o", ["device", "type"]],
];

/**
 * Checks options as Docker does at create: names, completeness and `size`. Whether the device
 * exists is seen at the first mount. Throws `volume.option_invalid` naming the option.
 */
export function checkLocalOptions(options: DriverOptions): void {
  for (const name of Object.keys(options)) {
    if (!knownOptions.has(name)) throw unknownOption(name);
  }
  for (const [name, needed] of neededOptions) {
    if (!(name in options)) continue;
    for (const other of needed) {
      if (!(other in options)) throw invalid(other, `missing required option: ${goQuote(other)}`);
    }
  }
  for (const [name, value] of Object.entries(options)) {
    // Neither mount(8) nor a file holds it.
    if (value.includes("\0")) {
      throw invalid(name, `invalid option: ${goQuote(name)}: a NUL character is not allowed`);
    }
    if (value.length > VALUE_LENGTH_MAX) {
      throw invalid(
        name,
        `invalid option: ${goQuote(name)}: at most ${VALUE_LENGTH_MAX} characters are allowed`,
      );
    }
  }
  const size = options["size"];
  if (size === undefined) return;
  const sizeBytes = parseRamBytes(size);
  if (sizeBytes === undefined) throw invalid("size", `invalid size: '${size}'`);
  if (sizeBytes > 0) throw invalid("size", "quota size requested but no quota support");
}

/** As of the driver `smb`: by `cifsacl` and `posix` alone the server may keep what is given. */
export const localFixedOwner: FixedOwner = (option, options) => {
  const { type = "", options: words } = localMount(options) ?? { options: "" };
  if (!/^(cifs|smb3)$/.test(type) || /(^|,)(cifsacl|posix)(,|$)/.test(words)) return [];
  return option === "owner" ? ["uid", "gid"] : ["file_mode", "dir_mode"];
};

/** What to mount, or undefined for a plain directory. */
export function localMount(options: DriverOptions): LocalMount | undefined {
  const { type, device, o } = options;
  // Docker's rule: a mount needs a device; `type` is then given too.
  if (device === undefined || device === "" || type === undefined) return undefined;
  return { type, device: withServer(type, device, o ?? ""), options: o ?? "" };
}

/**
 * Docker's usual NFS form is `device=:/export` with the server in `addr=`. mount(2) takes that;
 * mount.nfs wants `server:/export`.
 */
function withServer(type: string, device: string, options: string): string {
  if (!(type === "nfs" || type === "nfs4") || !device.startsWith(":")) return device;
  const address = options
    .split(",")
    .find((word) => word.startsWith("addr="))
    ?.slice("addr=".length);
  if (address === undefined || address === "") return device;
  return `${address.includes(":") ? `[${address}]` : address}${device}`;
}

const sizePattern = /^(\d+(?:\.\d+)?|\.\d+) ?([kmgtp]?)(?:i?b)?$/i;
const unitExponents: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/**
 * Docker's `RAMInBytes`: 1024-based units, case-insensitive, `10m`, `1.5 GiB`; undefined: garbage.
 */
function parseRamBytes(text: string): number | undefined {
  const match = sizePattern.exec(text);
  if (match === null) return undefined;
  const exponent = unitExponents[(match[2] ?? "").toLowerCase()] ?? 0;
  return Math.trunc(Number(match[1]) * 1024 ** exponent);
}

/** Docker's text does not say what is known: that is in the details, for faces that do. */
function unknownOption(option: string): EngineError {
  const known: readonly string[] = [...knownOptions];
  return new EngineError("volume.option_invalid", `invalid option: ${goQuote(option)}`, {
    details: { option, known },
  });
}

function invalid(option: string, message: string): EngineError {
  return new EngineError("volume.option_invalid", message, { details: { option } });
}
