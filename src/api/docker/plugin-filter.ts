// The filters of `GET /plugins`.
import type { ManagedPlugin } from "../../core/plugin.ts";
import { booleanFilter, checkKeys, type Filters, textMatchers } from "./filters.ts";

const keys = new Set(["capability", "enabled"]);

/** What the filters select. `monotonicMs` is the clock by which patterns are stopped. */
export function pluginFilter(
  filters: Filters,
  monotonicMs: () => number = () => performance.now(),
): (plugin: ManagedPlugin) => boolean {
  checkKeys(filters, keys);
  const enabled = booleanFilter(filters, "enabled");
  const wanted = textMatchers("capability", filters.get("capability") ?? [], monotonicMs);
  return ({ isEnabled, config }) => {
    if (enabled !== undefined && enabled !== isEnabled) return false;
    // moby's rule: all that it can must match, and what can nothing passes.
    const capabilities = (config.interface.types ?? []).map(capabilityOf);
    return wanted.length === 0 || capabilities.every((one) => wanted.some((test) => test(one)));
  };
}

/** `volumedriver` of `docker.volumedriver/1.0`. */
function capabilityOf(type: string): string {
  const [named = ""] = type.split("/");
  return named.slice(named.lastIndexOf(".") + 1);
}
