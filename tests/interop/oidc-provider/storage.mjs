// What the provider remembers, in memory. It lives apart from the provider object, so that a new provider with other
// signing keys (a key rotation) goes on with the same sessions, grants and codes, as Logto does.

export const GRANTABLE = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken']);

export class Storage {
  #records = new Map();
  #settings;

  /** `settings.refresh_token_leeway_ms`: how long a refresh token is good after its successor was issued. */
  constructor(settings) {
    this.#settings = settings;
  }

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

  /** Logto writes the moment anew at every use within the leeway, so it does here. */
  consume(key) {
    const record = this.#records.get(key);
    if (record) record.consumedAt = Date.now();
  }

  isConsumed(model, key) {
    const { consumedAt } = this.#records.get(key) ?? {};
    if (consumedAt === undefined) return false;
    return model !== 'RefreshToken' || consumedAt + this.#settings.refresh_token_leeway_ms < Date.now();
  }

  /** Everything that belongs to a user, or only these models of it. Says how many records went. */
  dropAllOf(accountId, models) {
    let dropped = 0;
    for (const [key, { payload }] of this.#records) {
      if ((accountId === undefined || payload.accountId === accountId)
        && (models === undefined || models.has(key.slice(0, key.indexOf(':'))))) {
        this.#records.delete(key);
        dropped += 1;
      }
    }
    return dropped;
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
    const payload = this.storage.take(this.key(id));
    if (payload && this.storage.isConsumed(this.model, this.key(id))) return { ...payload, consumed: true };
    return payload;
  }

  async findByUid(uid) {
    for (const [, payload] of this.storage.of(this.model)) {
      if (payload.uid === uid) return payload;
    }
    return undefined;
  }

  async consume(id) {
    this.storage.consume(this.key(id));
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
