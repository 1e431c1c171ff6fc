/**
 * Tells whether garbage has been collected since the last look. The engine tells nobody, but an object that only a `WeakRef` knows is gone
 * with the first collection after it was made, of the young ones alone too.
 */
export class CollectionWatch {
  #sentinel = new WeakRef({});

  /** To be called once a turn of the event loop: within the turn of a call the object is kept alive. */
  seen(): boolean {
    if (this.#sentinel.deref() !== undefined) return false;
    this.#sentinel = new WeakRef({});
    return true;
  }
}
