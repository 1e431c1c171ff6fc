/** Instruments of the simulated market, dense; options follow. */
export const SIM = { binanceBtc: 0, deribitBtc: 1, firstOption: 2 } as const;

/** Ticks per unit of quote currency, and lots per coin, of the Binance-like perpetual: 0.1 USDT and 0.001 BTC. */
export const BINANCE_TICKS_PER_USD = 10;
export const BINANCE_LOTS_PER_COIN = 1_000;

/** The Deribit-like perpetual: ticks of 0.5 USD, lots of 10 USD. */
export const DERIBIT_TICKS_PER_USD = 2;
export const DERIBIT_USD_PER_LOT = 10;

/** Options: ticks of 0.0001 BTC up to {@link COARSE_FROM_TICKS}, multiples of {@link COARSE_TICKS} of them above; lots of 0.1 BTC. */
export const OPTION_TICKS_PER_COIN = 10_000;
export const COARSE_FROM_TICKS = 50;
export const COARSE_TICKS = 5;
export const OPTION_LOTS_PER_COIN = 10;
