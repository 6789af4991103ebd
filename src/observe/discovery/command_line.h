// The words of a container's command, as the server in it gets them.
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qd::observe::discovery {

using Environment = std::map<std::string, std::string>;

// The content of a file, as the command's shell would see it; nothing when it cannot be read.
using ReadFile = std::function<std::optional<std::string>(const std::string& path)>;

// The words that a POSIX shell would make of a text, as far as commands of containers need it: quotes, backslashes,
// $NAME, ${NAME}, and $(cat FILE), by which secrets come into commands. What is beyond that (other substitutions,
// pipes, redirections) stays as it is.
std::vector<std::string> shell_words(std::string_view text, const Environment& environment, const ReadFile& read = {});
// Whether a word has a substitution left, whose value is not known.
bool is_substituted(std::string_view word);

// The command's words; what is given to a shell by -c is taken apart.
std::vector<std::string> command_words(const std::vector<std::string>& command, const Environment& environment,
                                       const ReadFile& read = {});

// The value of the last of these options, written "--port 1", "--port=1", or for one letter also "-p1".
std::optional<std::string> option(const std::vector<std::string>& words, std::initializer_list<std::string_view> names);

}  // namespace qd::observe::discovery
