// What was acknowledged is there, whoever was killed while it was written.
import { sideBySide } from "../support/needs.ts";
import { drivers, requirementsOf } from "./survive-servers.ts";
import { killWhileWriting } from "./survive-writes.ts";

for (const driver of drivers) {
  sideBySide(requirementsOf[driver], `${driver}: killed while somebody writes`, () =>
    killWhileWriting(driver, ["daemon", "both"]),
  );
  sideBySide(requirementsOf[driver], `${driver}: its process is killed, and nobody asks`, () =>
    killWhileWriting(driver, ["fuse"]),
  );
}
