// Signing keys as Logto keeps them: EC P-384 (ES384) until rotated to RSA (RS256), and a JWKS of at most two keys,
// Current and Previous.

import { generateKeyPairSync } from 'node:crypto';

const MAKERS = {
  ES384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
};

export class SigningKeys {
  #keys = [];

  constructor(algorithm) {
    this.rotate(algorithm);
  }

  /** A new key signs from now on; the one before stays published, older ones are gone. */
  rotate(algorithm) {
    const make = MAKERS[algorithm];
    if (!make) throw new RangeError(`unknown signing algorithm: ${algorithm}`);
    const jwk = make().privateKey.export({ format: 'jwk' });
    this.#keys = [{ algorithm, jwk }, ...this.#keys].slice(0, 2);
  }

  get algorithm() {
    return this.#keys[0].algorithm;
  }

  get jwks() {
    return { keys: this.#keys.map(({ jwk }) => ({ ...jwk, use: 'sig' })) };
  }
}
