/** Where frame generators hand frames: a venue server, or a test. */
export interface FrameSink {
  /** Somebody listens; frames of other channels need not be made. */
  wanted(channel: string): boolean;
  /** One frame's payload (JSON text), before the venue's envelope. */
  emit(channel: string, data: string): void;
}
