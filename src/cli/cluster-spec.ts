// The cluster part of `volume create`: understood so that a daemon can refuse it in its own words.
import { parseBytes } from "./human.ts";
import type { Options } from "./options.ts";
import { keyValues } from "./volume.ts";

function segments(words: readonly string[]): { readonly Segments: unknown }[] | undefined {
  if (words.length === 0) return undefined;
  return words.map((word) => ({ Segments: keyValues(word.split(",")) }));
}

/** Docker's ClusterVolumeSpec; an engine without a swarm answers it with 503. */
export function clusterSpec(options: Options): unknown {
  const type = options.text("type");
  const secrets = keyValues(options.all("secret"));
  return {
    Group: options.text("group") || undefined,
    AccessMode: {
      Scope: options.text("scope"),
      Sharing: options.text("sharing"),
      ...(type === "mount" ? { MountVolume: {} } : {}),
      ...(type === "block" ? { BlockVolume: {} } : {}),
    },
    AccessibilityRequirements: {
      Requisite: segments(options.all("topology-required")),
      Preferred: segments(options.all("topology-preferred")),
    },
    CapacityRange: {
      RequiredBytes: parseBytes(options.text("required-bytes") ?? "0"),
      LimitBytes: parseBytes(options.text("limit-bytes") ?? "0"),
    },
    Secrets: secrets && Object.entries(secrets).map(([Key, Secret]) => ({ Key, Secret })),
    Availability: options.text("availability"),
  };
}
