// What the provider remembers, in memory. It lives apart from the provider object, so that a new provider with other
// signing keys (a key rotation) goes on with the same sessions, grants and codes, as Logto does.

const GRANTABLE = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken']);

export class Storage {
  #records = new Map();

  /** The adapter factory that oidc-provider asks for. */
  adapter = (model) => new Adapter(model, this);

  put(key, payload, expiresIn) {
    const until = expiresIn ? Date.now() + expiresIn * 1000 : Infinity;
    this.#records.set(key, { payload, until });
  }

  take(key) {
    const record = this.#records.get(key);
    if (record && record.until <= Date.now()) {
      this.#records.delete(key);
      return undefined;
    }
    return record?.payload;
  }

  drop(key) {
    this.#records.delete(key);
  }

  /** Living records of one model. */
  *of(model) {
    for (const key of [...this.#records.keys()]) {
      if (key.startsWith(`${model}:`)) {
        const payload = this.take(key);
        if (payload) yield [key, payload];
      }
    }
  }
}

class Adapter {
  constructor(model, storage) {
    this.model = model;
    this.storage = storage;
  }

  key(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload, expiresIn) {
    this.storage.put(this.key(id), payload, expiresIn);
  }

  async find(id) {
    return this.storage.take(this.key(id));
  }

  async findByUid(uid) {
    for (const [, payload] of this.storage.of(this.model)) {
      if (payload.uid === uid) return payload;
    }
    return undefined;
  }

  async consume(id) {
    const payload = this.storage.take(this.key(id));
    if (payload) payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    this.storage.drop(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const model of GRANTABLE) {
      for (const [key, payload] of this.storage.of(model)) {
        if (payload.grantId === grantId) this.storage.drop(key);
      }
    }
  }
}
