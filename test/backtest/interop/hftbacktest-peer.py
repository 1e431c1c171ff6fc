"""Runs the fixed-offset strategy in hftbacktest: argv = rows file, list of parameters as JSON. Prints a list of results as JSON."""

import json
import sys
import time

import numpy as np
from hftbacktest import BUY, GTX, LIMIT, SELL, BacktestAsset, HashMapMarketDepthBacktest
from hftbacktest.data import correct_event_order
from hftbacktest.order import CANCELED, EXPIRED, FILLED, NEW, PARTIALLY_FILLED
from hftbacktest.types import event_dtype
from numba import njit

ROWS, RUNS = sys.argv[1], json.loads(sys.argv[2])
WARM_ROWS = 20_000


def events():
    """Columns of the file: ev, exchange ns and local ns since the first, price, size; float64."""
    raw = np.fromfile(ROWS, dtype=np.float64).reshape(-1, 5)
    data = np.zeros(len(raw), dtype=event_dtype)
    data["ev"] = raw[:, 0].astype(np.uint64)
    data["exch_ts"] = raw[:, 1].astype(np.int64) + RUNS[0]["originNs"]
    data["local_ts"] = raw[:, 2].astype(np.int64) + RUNS[0]["originNs"]
    data["px"] = raw[:, 3]
    data["qty"] = raw[:, 4]
    by_exchange = np.argsort(data["exch_ts"], kind="mergesort")
    by_local = np.argsort(data["local_ts"], kind="mergesort")
    return correct_event_order(data, by_exchange, by_local)


@njit
def quote(hbt, offset_ticks, size, every_ns, tick, fills):
    """One order a side, moved when the middle has moved. Fills: order's side, price, size, time, sent. Returns their number."""
    count = 0
    sent = np.zeros(len(fills), dtype=np.int64)
    order_id = 0
    working = np.zeros(2, dtype=np.int64)
    while True:
        ended = hbt.elapse(every_ns)
        if ended != 0:
            # 1 = the data has ended; anything else is an error.
            return count if ended == 1 else -ended
        orders = hbt.orders(0)
        for side in range(2):
            if working[side] != 0 and working[side] in orders:
                order = orders.get(working[side])
                if order.status == FILLED or order.status == EXPIRED or order.status == CANCELED:
                    working[side] = 0
            else:
                working[side] = 0
        values = orders.values()
        while values.has_next():
            order = values.get()
            done = order.status == FILLED or order.status == CANCELED
            if done and order.leaves_qty < order.qty - 1e-12 and count < len(fills):
                fills[count, 0] = order.side
                fills[count, 1] = order.price_tick
                fills[count, 2] = order.qty - order.leaves_qty
                fills[count, 3] = order.exch_timestamp
                fills[count, 4] = sent[order.order_id]
                count += 1
        hbt.clear_inactive_orders(0)
        depth = hbt.depth(0)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        if bid <= 0 or ask >= 2147483647 or ask <= bid:
            continue
        middle = (bid + ask) / 2
        for side in range(2):
            wanted = np.floor(middle - offset_ticks) if side == 0 else np.ceil(middle + offset_ticks)
            if working[side] != 0:
                order = orders.get(working[side])
                if order.req != 0 or order.price_tick == wanted:
                    continue
                hbt.cancel(0, working[side], False)
            order_id += 1
            working[side] = order_id
            sent[order_id] = hbt.current_timestamp
            if side == 0:
                hbt.submit_buy_order(0, order_id, wanted * tick, size, GTX, LIMIT, False)
            else:
                hbt.submit_sell_order(0, order_id, wanted * tick, size, GTX, LIMIT, False)


def asset(data, parameters):
    made = (
        BacktestAsset()
        .data([data])
        .linear_asset(1.0)
        .constant_order_latency(parameters["orderNs"], parameters["responseNs"])
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(parameters["tick"])
        .lot_size(parameters["lot"])
        .last_trades_capacity(0)
    )
    made = made.partial_fill_exchange() if parameters["partial"] else made.no_partial_fill_exchange()
    queue = parameters["queue"]
    if queue == "conservative":
        return made.risk_adverse_queue_model()
    if queue == "log":
        return made.log_prob_queue_model()
    return made.power_prob_queue_model(parameters["exponent"])


def run(data, parameters):
    fills = np.zeros((1_000_000, 5))
    hbt = HashMapMarketDepthBacktest([asset(data, parameters)])
    started = time.perf_counter_ns()
    count = quote(hbt, parameters["offsetTicks"], parameters["size"], parameters["everyNs"], parameters["tick"], fills)
    elapsed = time.perf_counter_ns() - started
    if count < 0:
        raise RuntimeError(f"hftbacktest ended with error {-count}")
    state = hbt.state_values(0)
    result = {
        "ns": elapsed,
        "position": state.position,
        "balance": state.balance,
        "trades": int(state.num_trades),
        "volume": state.trading_volume,
        "fills": [[float(value) for value in fill] for fill in fills[:count]],
    }
    hbt.close()
    return result


def fastest(data, parameters):
    rounds = [run(data.copy(), parameters) for _ in range(parameters["rounds"])]
    best = min(rounds, key=lambda result: result["ns"])
    return {**best, "rows": len(data)}


data = events()
run(data[:WARM_ROWS].copy(), RUNS[0])
print(json.dumps([fastest(data, parameters) for parameters in RUNS]))
