/**
 * Tells whether garbage has been collected since the last look. The engine tells nobody, but an object that only a `WeakRef` knows is gone
 * with the first collection after it was made, of the young ones alone too. Not seen is a collection within the very turn of a look,
 * in which the object of before is kept alive and the new one is on the stack.
 */
export class CollectionWatch {
  #sentinel = new WeakRef({});

  /** To be called once a turn of the event loop. */
  seen(): boolean {
    const isGone = this.#sentinel.deref() === undefined;
    // A new one each time: one that has outlived a collection of the young is not looked at by the next ones.
    this.#sentinel = new WeakRef({});
    return isGone;
  }
}
