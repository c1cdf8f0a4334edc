// Ten rounds of create, mount, unmount and remove leave nothing; a hundred do at night.
import { sideBySide } from "../support/needs.ts";
import { goRound } from "./survive-rounds.ts";
import { drivers, requirementsOf } from "./survive-servers.ts";

for (const driver of drivers) {
  sideBySide(requirementsOf[driver], `${driver}: ten rounds leave nothing`, () =>
    goRound(driver, 10),
  );
}
