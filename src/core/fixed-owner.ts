// Storage whose files show owner and mode as the driver's options say, whatever they were given.
import type { DriverOptions } from "./driver.ts";

/**
 * Names the driver's own options that say it instead of the engine's option `owner` or `mode`; none
 * where what is given to the data takes effect, or is refused by the storage. Pure.
 */
export type FixedOwner = (option: "owner" | "mode", options: DriverOptions) => readonly string[];
