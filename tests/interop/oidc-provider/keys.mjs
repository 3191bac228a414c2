// Signing keys as Logto keeps them: EC P-384 (ES384) until rotated to RSA (RS256), and a JWKS of at most two keys,
// Current and Previous.

import { createPrivateKey, generateKeyPairSync } from 'node:crypto';

// By way of DER: Node.js 20 deadlocks now and then when a key is exported as a JWK while the job that made it is collected.
const DER = {
  publicKeyEncoding: { format: 'der', type: 'spki' },
  privateKeyEncoding: { format: 'der', type: 'pkcs8' },
};

const MAKERS = {
  ES384: () => generateKeyPairSync('ec', { namedCurve: 'P-384', ...DER }),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048, ...DER }),
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
    const key = createPrivateKey({ key: make().privateKey, format: 'der', type: 'pkcs8' });
    const jwk = key.export({ format: 'jwk' });
    this.#keys = [{ algorithm, jwk }, ...this.#keys].slice(0, 2);
  }

  get algorithm() {
    return this.#keys[0].algorithm;
  }

  get jwks() {
    return { keys: this.#keys.map(({ jwk }) => ({ ...jwk, use: 'sig' })) };
  }
}
