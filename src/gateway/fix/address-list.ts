import { BlockList, isIP } from "node:net";
import { BadInputError } from "../../core/errors.ts";

/** Addresses from which peers may connect. */
export class AddressList {
  readonly #list = new BlockList();

  /** @param entries addresses and CIDR blocks, e.g. `10.1.0.0/16`, `::1`. @throws BadInputError naming the entry that is neither. */
  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const [address, prefix, ...more] = entry.split("/");
      const family = isIP(address);
      const bits = prefix === undefined ? (family === 4 ? 32 : 128) : Number(prefix);
      const sound =
        family !== 0 &&
        more.length === 0 &&
        (prefix === undefined || /^\d{1,3}$/.test(prefix)) &&
        bits <= (family === 4 ? 32 : 128);
      if (!sound)
        throw new BadInputError("FIX address list", JSON.stringify(entry), "an IP address or CIDR block");
      this.#list.addSubnet(address, bits, family === 4 ? "ipv4" : "ipv6");
    }
  }

  has(address: string): boolean {
    const plain = address.startsWith("::ffff:") && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
    const family = isIP(plain);
    return family !== 0 && this.#list.check(plain, family === 4 ? "ipv4" : "ipv6");
  }
}
