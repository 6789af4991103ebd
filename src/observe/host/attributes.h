// Series that are files of sysfs, one number or one word a file.
//
// A part finds its files when a Listing says so, adds them, reads them, and tells them each pass in the order of their
// families. A file that cannot be read or understood loses its own sample alone. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/metadata.h"
#include "observe/host/listing.h"
#include "observe/host/pace.h"
#include "observe/host/part.h"

namespace qd::observe::host {

// Reads a file's text, which has no blanks around it.
using ReadNumber = std::optional<double> (*)(std::string_view text);

// With a sign or without.
std::optional<double> read_integer(std::string_view text);
std::optional<double> read_milli(std::string_view text);     // an integer, times 0.001
std::optional<double> read_micro(std::string_view text);     // an integer, by a million
std::optional<double> read_any_base(std::string_view text);  // 0x1f is 31, 12 is 12
// "1.5k" of 1024 each, up to "E", in whole ones.
std::optional<double> read_binary_units(std::string_view text);

class Attributes {
 public:
  // More series than these are left out: the largest machines known have some ten thousand files of this kind.
  static constexpr std::size_t kSeriesMax = 65'536;

  // Names of labels live as long as the program.
  using Labels = std::vector<std::pair<std::string_view, std::string>>;

  struct Family {
    std::string name;
    model::MetricType type;
    std::string help;
  };
  // A label whose value is a file's text.
  struct Text {
    std::string_view name;
    std::string path;
    std::string_view without_prefix = {};  // cut off the text where it begins so
    bool required = false;                 // without the file there is no sample
    bool or_nothing = false;               // without a text there is no label
    std::string otherwise = {};            // without the file
  };

  explicit Attributes(FileReader& reader) : reader_(reader) {}

  // Forgets all series.
  void clear();
  // A series of which `path` holds the value. Files that do not exist now are not looked for again before the next
  // clear().
  void add(const Family& family, Labels labels, std::string path, ReadNumber read);
  // A series whose value does not come from a file.
  void add_value(const Family& family, Labels labels, double value);
  // A series whose value is 1, with labels that are read.
  void add_info(const Family& family, Labels labels, std::vector<Text> texts);
  // After the last one: puts them in order. Of two with the same labels the one that was added first stays.
  void finish();

  bool empty() const { return series_.empty(); }
  // Reads the series, from where the last call had to stop. False when the deadline came before all were read; those
  // that were not keep their last values.
  bool read(const Pass& pass);
  // What was last read.
  void tell_last(Sink& sink);
  // Both.
  bool tell(const Pass& pass) {
    const bool all = read(pass);
    tell_last(pass.sink);
    return all;
  }

 private:
  struct Source {
    Text text;
    std::optional<KeptFile> file;
    std::string value;
    bool shown = true;
  };
  struct Series {
    std::size_t family = 0;
    Labels labels;
    std::vector<Source> sources;
    double value = 1;                 // of the last reading, where there is a file
    bool known = false;               // was read, and understood
    std::optional<std::size_t> file;  // in files_
    ReadNumber read = nullptr;
  };
  // A file may hold the values of several series; it is read once a pass.
  struct File {
    KeptFile file;
    std::size_t series = 1;
    std::uint64_t pass = 0;  // of which text is, where there are several series
    std::optional<std::string> text;
  };
  Series* next(const Family& family, Labels labels);
  bool read_sources(Series& series);
  std::optional<double> read_value(const Series& series, std::uint64_t pass);

  FileReader& reader_;
  std::vector<Family> families_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
  std::vector<File> files_;
  std::map<std::string, std::size_t, std::less<>> by_path_;
  std::vector<Series> series_;
  std::size_t next_ = 0;  // in series_: to be read
  std::vector<model::Label> labels_;
};

// A part that is nothing but such series of what one directory has. Where reading them takes long, as each may ask a
// device, they are read seldom (observe/host/pace.h) and told again in between.
class AttributesPart : public Part {
 public:
  Outcome collect(const Pass& pass) final;

 protected:
  // Without the directory there is either no data, which is a failure, or just nothing to tell.
  enum class Absent { kIsFailure, kIsNothing };

  // Some hundred files of drivers that answer from memory take less.
  static constexpr std::int64_t kAttributesCheapNs = 10'000'000;

  AttributesPart(FileReader& reader, std::string directory, Absent absent = Absent::kIsFailure)
      : reader_(reader), absent_(absent), listing_(std::move(directory)), rows_(reader) {}

  // Adds the series of `names` in `directory` to `rows`.
  virtual void find(const std::string& directory, const std::vector<std::string>& names, Attributes& rows) = 0;

  FileReader& reader() { return reader_; }
  // From find(): what collect() says, once all is told, until the next find().
  void set_outcome(Outcome outcome) { found_ = outcome; }

 private:
  Outcome refresh(const Pass& pass);

  FileReader& reader_;
  Absent absent_;
  Pace pace_{kAttributesCheapNs};
  Outcome outcome_;  // of the last reading
  Outcome found_;
  Listing listing_;
  Attributes rows_;
};

// The text of a file without blanks around it, made UTF-8; nothing where it cannot be read.
std::optional<std::string> text_of(FileReader& reader, const std::string& path);
// Whether there is something of that name, a link's target too.
bool exists(const std::string& path);

}  // namespace qd::observe::host
