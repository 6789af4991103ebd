#include "observe/host/systemd_bus.h"

#include <systemd/sd-bus.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <utility>

namespace qd::observe::host {
namespace {

constexpr const char* kSystemd = "org.freedesktop.systemd1";
constexpr const char* kManagerPath = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr const char* kUnit = "org.freedesktop.systemd1.Unit";
constexpr const char* kService = "org.freedesktop.systemd1.Service";
constexpr const char* kSocket = "org.freedesktop.systemd1.Socket";
constexpr const char* kTimer = "org.freedesktop.systemd1.Timer";

// What a service's file says of its type seldom changes: asked anew in this many rounds, ten minutes.
constexpr std::uint64_t kRoundsOfType = 40;

// Kinds of units that node_exporter leaves out: there are many, and what they do shows elsewhere.
constexpr std::array<std::string_view, 5> kKindsLeftOut = {".automount", ".device", ".mount", ".scope", ".slice"};

bool is_told(std::string_view name, std::string_view load_state) {
  return load_state == "loaded" && std::none_of(kKindsLeftOut.begin(), kKindsLeftOut.end(), [&](std::string_view kind) {
           return name.size() > kind.size() && name.ends_with(kind);
         });
}

// What is asked with one call.
enum class Ask {
  kUnits,
  kVersion,
  kVirtualization,
  kSystemState,
  kStarted,
  kType,
  kRestarts,
  kAccepted,
  kConnections,
  kRefused,
  kLastTrigger
};

struct Property {
  const char* interface;
  const char* name;
};

Property property_of(Ask ask) {
  switch (ask) {
    case Ask::kUnits:
      break;
    case Ask::kVersion:
      return {kManager, "Version"};
    case Ask::kVirtualization:
      return {kManager, "Virtualization"};
    case Ask::kSystemState:
      return {kManager, "SystemState"};
    case Ask::kStarted:
      return {kUnit, "ActiveEnterTimestamp"};
    case Ask::kType:
      return {kService, "Type"};
    case Ask::kRestarts:
      return {kService, "NRestarts"};
    case Ask::kAccepted:
      return {kSocket, "NAccepted"};
    case Ask::kConnections:
      return {kSocket, "NConnections"};
    case Ask::kRefused:
      return {kSocket, "NRefused"};
    case Ask::kLastTrigger:
      return {kTimer, "LastTriggerUSec"};
  }
  return {nullptr, nullptr};
}

struct Question {
  Ask ask;
  std::size_t unit;  // where it is about one
};

std::optional<std::string> answered_text(sd_bus_message* answer) {
  const char* text = nullptr;
  if (sd_bus_message_read(answer, "v", "s", &text) <= 0) return std::nullopt;
  return text;
}

std::optional<std::uint64_t> count_of(sd_bus_message* answer) {
  std::uint32_t count = 0;
  if (sd_bus_message_read(answer, "v", "u", &count) <= 0) return std::nullopt;
  return count;
}

std::optional<double> seconds_of(sd_bus_message* answer) {
  std::uint64_t microseconds = 0;
  if (sd_bus_message_read(answer, "v", "t", &microseconds) <= 0) return std::nullopt;
  return static_cast<double>(microseconds) / 1e6;
}

// In an address, all but a few characters are written as %XX.
std::string address_of(const std::string& path) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string address = "unix:path=";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
                       c == '.' || c == '-' || c == '_';
    if (plain) {
      address += c;
    } else {
      address += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return address;
}

}  // namespace

struct SystemdBus::Connection {
  // A call that waits for its answer; `connection` is null for one that is free.
  struct Call {
    Connection* connection = nullptr;
    Question question{};
  };

  std::vector<Address> addresses;
  std::size_t address = 0;  // the one that is connected, or comes next
  std::size_t last = 0;     // the one that was tried last
  sd_bus* bus = nullptr;

  bool running = false;
  int error = 0;
  SystemdState found;
  SystemdState next;
  std::vector<std::string> paths;  // of next.units
  std::vector<Question> questions;
  std::size_t asked = 0;
  std::size_t answered = 0;
  std::array<Call, kInFlightMax> calls;
  std::uint64_t rounds = 0;
  std::unordered_map<std::string, std::string> types;

  void fail(int why) {
    if (error == 0) error = why;
  }

  int connect() {
    last = address;
    const Address& to = addresses[address];
    if (::access(to.path.c_str(), R_OK | W_OK) != 0) return errno;
    if (const int made = sd_bus_new(&bus); made < 0) return -made;
    int status = sd_bus_set_address(bus, address_of(to.path).c_str());
    if (status >= 0) status = sd_bus_set_bus_client(bus, to.is_bus ? 1 : 0);
    if (status >= 0) {
      const auto limit = std::chrono::duration_cast<std::chrono::microseconds>(kAnswerMax);
      status = sd_bus_set_method_call_timeout(bus, static_cast<std::uint64_t>(limit.count()));
    }
    if (status >= 0) status = sd_bus_start(bus);
    return status < 0 ? -status : 0;
  }

  void disconnect() {
    // What was not answered will never be.
    bus = sd_bus_close_unref(bus);
    calls = {};
    running = false;
  }

  void ask_more() {
    while (error == 0 && asked < questions.size() && asked - answered < kInFlightMax) {
      auto call = std::find_if(calls.begin(), calls.end(), [](const Call& one) { return one.connection == nullptr; });
      *call = {this, questions[asked]};
      if (const int status = send(*call); status < 0) return fail(-status);
      ++asked;
    }
  }

  int send(Call& call) {
    const Question& question = call.question;
    const bool of_unit = question.ask >= Ask::kStarted;
    const char* const path = of_unit ? paths[question.unit].c_str() : kManagerPath;
    const bool list = question.ask == Ask::kUnits;
    sd_bus_message* message = nullptr;
    int status = sd_bus_message_new_method_call(
        bus, &message, kSystemd, path, list ? kManager : "org.freedesktop.DBus.Properties", list ? "ListUnits" : "Get");
    // A bus must not try to start a systemd that is not there.
    if (status >= 0) status = sd_bus_message_set_auto_start(message, 0);
    if (status >= 0 && !list) {
      const Property property = property_of(question.ask);
      status = sd_bus_message_append(message, "ss", property.interface, property.name);
    }
    if (status >= 0) status = sd_bus_call_async(bus, nullptr, message, &Connection::on_answer, &call, 0);
    sd_bus_message_unref(message);
    return status;
  }

  static int on_answer(sd_bus_message* message, void* data, sd_bus_error*) {
    Call& call = *static_cast<Call*>(data);
    Connection& self = *std::exchange(call.connection, nullptr);
    ++self.answered;
    self.take(call.question, message);
    return 0;
  }

  void take(const Question& question, sd_bus_message* answer) {
    if (sd_bus_message_is_method_error(answer, nullptr) != 0) {
      const int why = sd_bus_message_get_errno(answer);
      const bool lost = why == ETIMEDOUT || why == ECONNRESET || why == ENOTCONN;
      // A unit may have gone, and an older systemd lacks some properties.
      if (lost || question.ask == Ask::kUnits) fail(why == 0 ? EPROTO : why);
      return;
    }
    const auto unit = [&]() -> SystemdUnit& { return next.units[question.unit]; };
    switch (question.ask) {
      case Ask::kUnits:
        return take_units(answer);
      case Ask::kVersion:
        next.version = answered_text(answer).value_or("");
        break;
      case Ask::kVirtualization:
        next.virtualization = answered_text(answer).value_or("");
        break;
      case Ask::kSystemState:
        next.system_state = answered_text(answer).value_or("");
        break;
      case Ask::kStarted:
        unit().started_s = seconds_of(answer);
        break;
      case Ask::kType:
        unit().type = answered_text(answer).value_or("");
        types[unit().name] = unit().type;
        break;
      case Ask::kRestarts:
        unit().restarts = count_of(answer);
        break;
      case Ask::kAccepted:
        unit().accepted = count_of(answer);
        break;
      case Ask::kConnections:
        unit().connections = count_of(answer);
        break;
      case Ask::kRefused:
        unit().refused = count_of(answer);
        break;
      case Ask::kLastTrigger:
        unit().last_trigger_s = seconds_of(answer);
        break;
    }
  }

  // a(ssssssouso): name, description, load, active and sub state, followed unit, path, and a job.
  void take_units(sd_bus_message* answer) {
    int status = sd_bus_message_enter_container(answer, SD_BUS_TYPE_ARRAY, "(ssssssouso)");
    if (status < 0) return fail(-status);
    std::vector<std::pair<SystemdUnit, std::string>> told;
    std::size_t units = 0;
    while (true) {
      const char *name = nullptr, *load = nullptr, *active = nullptr, *path = nullptr;
      status = sd_bus_message_read(answer, "(ssssssouso)", &name, nullptr, &load, &active, nullptr, nullptr, &path,
                                   nullptr, nullptr, nullptr);
      if (status < 0) return fail(-status);
      if (status == 0) break;
      if (++units > kUnitsMax) return fail(EFBIG);
      const auto known = std::find(SystemdState::kUnitStates.begin(), SystemdState::kUnitStates.end(), active);
      if (known != SystemdState::kUnitStates.end()) {
        ++next.in_state[static_cast<std::size_t>(known - SystemdState::kUnitStates.begin())];
      }
      if (!is_told(name, load)) continue;
      auto& [unit, place] = told.emplace_back();
      unit.name = name;
      unit.active_state = active;
      place = path;
    }
    std::sort(told.begin(), told.end(), [](const auto& a, const auto& b) { return a.first.name < b.first.name; });
    for (auto& [unit, place] : told) {
      next.units.push_back(std::move(unit));
      paths.push_back(std::move(place));
    }
    for (std::size_t i = 0; i < next.units.size(); ++i) question_unit(i);
  }

  void question_unit(std::size_t place) {
    SystemdUnit& unit = next.units[place];
    if (unit.active_state == "active") {
      questions.push_back({Ask::kStarted, place});
    } else {
      unit.started_s = 0;
    }
    if (unit.name.ends_with(".service")) {
      if (const auto known = types.find(unit.name); known != types.end()) {
        unit.type = known->second;
      } else {
        questions.push_back({Ask::kType, place});
      }
      questions.push_back({Ask::kRestarts, place});
    } else if (unit.name.ends_with(".socket")) {
      for (const Ask ask : {Ask::kAccepted, Ask::kConnections, Ask::kRefused}) questions.push_back({ask, place});
    } else if (unit.name.ends_with(".timer")) {
      questions.push_back({Ask::kLastTrigger, place});
    }
  }
};

SystemdBus::SystemdBus(std::vector<Address> addresses) : connection_(std::make_unique<Connection>()) {
  connection_->addresses = std::move(addresses);
}

SystemdBus::~SystemdBus() {
  connection_->disconnect();
}

int SystemdBus::begin() {
  Connection& it = *connection_;
  it.error = 0;
  if (it.bus == nullptr) {
    const int error = it.connect();
    if (error != 0) {
      it.error = error;
      give_up();
      return error;
    }
  }
  if (it.rounds++ % kRoundsOfType == 0) it.types.clear();
  it.next = {};
  it.paths.clear();
  it.questions.clear();
  for (const Ask ask : {Ask::kVersion, Ask::kVirtualization, Ask::kSystemState, Ask::kUnits}) {
    it.questions.push_back({ask, 0});
  }
  it.asked = it.answered = 0;
  it.running = true;
  return 0;
}

bool SystemdBus::running() const {
  return connection_->running;
}

SystemdBus::Progress SystemdBus::advance(std::chrono::microseconds patience) {
  Connection& it = *connection_;
  const auto end = std::chrono::steady_clock::now() + patience;
  while (it.running) {
    it.ask_more();
    int status = it.error == 0 ? sd_bus_process(it.bus, nullptr) : 0;
    if (status < 0) it.fail(-status);
    if (it.error != 0) {
      give_up();
      return Progress::kFailed;
    }
    if (it.answered == it.questions.size()) {
      it.running = false;
      it.found = std::move(it.next);
      it.address = it.last;
      return Progress::kDone;
    }
    if (status > 0) continue;
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return Progress::kGoesOn;
    status = sd_bus_wait(it.bus, static_cast<std::uint64_t>(left.count()));
    if (status < 0 && status != -EINTR) it.fail(-status);
  }
  return Progress::kGoesOn;
}

void SystemdBus::give_up() {
  Connection& it = *connection_;
  it.disconnect();
  it.address = (it.last + 1) % it.addresses.size();
}

const SystemdState& SystemdBus::state() const {
  return connection_->found;
}

int SystemdBus::error() const {
  return connection_->error;
}

const std::string& SystemdBus::path() const {
  return connection_->addresses[connection_->last].path;
}

bool SystemdBus::has_another_address() const {
  return connection_->address != 0;
}

}  // namespace qd::observe::host
