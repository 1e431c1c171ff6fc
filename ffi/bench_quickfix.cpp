// Times QuickFIX C++ on MassQuotes of one entry: the peer of `keel bench fix`.
//
// Arguments: file of messages, one a line; messages per group. Writes one line a group: "encode" or "parse" and nanoseconds.
// Parsing checks length and checksum and takes no dictionary, the fastest that QuickFIX does; encoding builds a message of
// typed fields and groups and turns it into text, as an application does that has no message of the same shape at hand.

#include <quickfix/Message.h>
#include <quickfix/fix44/MassQuote.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace {

struct Quote {
  int seq = 0;
  std::string sender, target, id, base, symbol, venue;
  double bid_px = 0, offer_px = 0, bid_size = 0, offer_size = 0;
};

std::string field(const std::string& text, const std::string& tag) {
  const std::string key = "\x01" + tag + "=";
  const size_t at = text.find(key);
  if (at == std::string::npos) return "";
  const size_t from = at + key.size();
  return text.substr(from, text.find('\x01', from) - from);
}

Quote read(const std::string& text) {
  Quote quote;
  quote.seq = std::stoi(field(text, "34"));
  quote.sender = field(text, "49");
  quote.target = field(text, "56");
  quote.id = field(text, "117");
  quote.base = field(text, "302");
  quote.symbol = field(text, "55");
  quote.venue = field(text, "207");
  quote.bid_px = std::stod(field(text, "132"));
  quote.offer_px = std::stod(field(text, "133"));
  quote.bid_size = std::stod(field(text, "134"));
  quote.offer_size = std::stod(field(text, "135"));
  return quote;
}

size_t encode(const Quote& quote, std::string& out) {
  FIX44::MassQuote message(FIX::QuoteID(quote.id));
  FIX::Header& header = message.getHeader();
  const FIX::UtcTimeStamp now(3);
  header.setField(FIX::MsgSeqNum(quote.seq));
  header.setField(FIX::SenderCompID(quote.sender));
  header.setField(FIX::TargetCompID(quote.target));
  header.setField(FIX::SendingTime(now, 3));
  message.setField(FIX::QuoteResponseLevel(2));
  FIX44::MassQuote::NoQuoteSets set;
  set.setField(FIX::QuoteSetID(quote.base));
  set.setField(FIX::UnderlyingSymbol(quote.base));
  set.setField(FIX::TotNoQuoteEntries(1));
  FIX44::MassQuote::NoQuoteSets::NoQuoteEntries entry;
  entry.setField(FIX::QuoteEntryID(quote.id));
  entry.setField(FIX::Symbol(quote.symbol));
  entry.setField(FIX::SecurityExchange(quote.venue));
  entry.setField(FIX::BidPx(quote.bid_px));
  entry.setField(FIX::OfferPx(quote.offer_px));
  entry.setField(FIX::BidSize(quote.bid_size));
  entry.setField(FIX::OfferSize(quote.offer_size));
  entry.setField(FIX::TransactTime(now, 3));
  set.addGroup(entry);
  message.addGroup(set);
  message.toString(out);
  return out.size();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const size_t group = std::stoul(argv[2]);
  std::ifstream file(argv[1], std::ios::binary);
  std::vector<std::string> messages;
  for (std::string line; std::getline(file, line);) messages.push_back(line);
  std::vector<Quote> quotes;
  for (const std::string& text : messages) quotes.push_back(read(text));
  std::string out;
  size_t work = 0;
  FIX::Message parsed;
  const size_t warm_up = messages.size() / 4;
  for (size_t pass = 0; pass < 2; ++pass) {
    const size_t end = pass == 0 ? warm_up : messages.size();
    for (size_t at = 0; at + group <= end; at += group) {
      const auto start = std::chrono::steady_clock::now();
      for (size_t i = at; i < at + group; ++i) work += encode(quotes[i], out);
      const auto middle = std::chrono::steady_clock::now();
      for (size_t i = at; i < at + group; ++i) {
        parsed.setString(messages[i], true);
        work += parsed.totalFields();
      }
      const auto stop = std::chrono::steady_clock::now();
      if (pass == 0) continue;
      const auto ns = [](auto span) {
        return static_cast<long long>(std::chrono::duration_cast<std::chrono::nanoseconds>(span).count());
      };
      std::printf("encode %lld\nparse %lld\n", ns(middle - start), ns(stop - middle));
    }
  }
  return work == 0;
}
