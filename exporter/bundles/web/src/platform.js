// SPDX-License-Identifier: Apache-2.0

/** What differs between a page and node, whose module puts its own functions here. */
export const platform = {
  /** The bytes of a file of this package. */
  async read(url) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url.pathname} cannot be loaded: the server says ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  },

  /** Where a file of the runtime lies, as the runtime takes it. */
  address: (url) => url,

  /** Start the runtime, which loads a script. */
  start: (load) => load(),
};
