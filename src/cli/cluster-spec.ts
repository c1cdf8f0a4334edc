// The cluster part of `volume create`: understood so that a daemon can refuse it in its own words.
import { CliFailure } from "./failure.ts";
import type { Options } from "./options.ts";
import { keyValues } from "./volume.ts";

const unitPowers = ["", "k", "m", "g", "t", "p"];

/** "10g" in bytes; units are powers of 1024. */
function parseBytes(text: string | undefined): number {
  if (text === undefined) return 0;
  const match = /^([0-9]+(?:\.[0-9]+)?) ?([kmgtp]?)i?b?$/i.exec(text.trim());
  if (match === null) throw new CliFailure(`invalid size: '${text}'`);
  const power = unitPowers.indexOf((match[2] ?? "").toLowerCase());
  return Math.trunc(Number(match[1]) * 1024 ** power);
}

function segments(words: readonly string[]): { readonly Segments: unknown }[] | undefined {
  if (words.length === 0) return undefined;
  return words.map((word) => ({ Segments: keyValues(word.split(",")) }));
}

/** Docker's ClusterVolumeSpec; an engine without a swarm answers it with 503. */
export function clusterSpec(options: Options): unknown {
  const type = options.text("type");
  if (type !== "mount" && type !== "block") {
    throw new CliFailure(`unsupported access type "${type ?? ""}", must be "mount" or "block"`);
  }
  const secrets = keyValues(options.all("secret"));
  return {
    Group: options.text("group") || undefined,
    AccessMode: {
      Scope: options.text("scope"),
      Sharing: options.text("sharing"),
      ...(type === "mount" ? { MountVolume: {} } : { BlockVolume: {} }),
    },
    AccessibilityRequirements: {
      Requisite: segments(options.all("topology-required")),
      Preferred: segments(options.all("topology-preferred")),
    },
    CapacityRange: {
      RequiredBytes: parseBytes(options.text("required-bytes")),
      LimitBytes: parseBytes(options.text("limit-bytes")),
    },
    Secrets: secrets && Object.entries(secrets).map(([Key, Secret]) => ({ Key, Secret })),
    Availability: options.text("availability"),
  };
}
