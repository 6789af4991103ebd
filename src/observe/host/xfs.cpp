// What XFS counts of each file system: <sysfs>/fs/xfs/<device>/stats/stats (fs/xfs/xfs_stats.c), a line a subject, a
// name and its counts.

#include <array>

#include "observe/host/listing.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

struct XfsColumn {
  std::string_view line;
  std::size_t place;
  std::string_view metric;
  std::string_view help;
};
constexpr auto kXfsColumns = std::to_array<XfsColumn>({
    {"extent_alloc", 0, "node_xfs_extent_allocation_extents_allocated_total",
     "Number of extents allocated for a filesystem."},
    {"extent_alloc", 1, "node_xfs_extent_allocation_blocks_allocated_total",
     "Number of blocks allocated for a filesystem."},
    {"extent_alloc", 2, "node_xfs_extent_allocation_extents_freed_total", "Number of extents freed for a filesystem."},
    {"extent_alloc", 3, "node_xfs_extent_allocation_blocks_freed_total", "Number of blocks freed for a filesystem."},
    {"abt", 0, "node_xfs_allocation_btree_lookups_total", "Number of allocation B-tree lookups for a filesystem."},
    {"abt", 1, "node_xfs_allocation_btree_compares_total", "Number of allocation B-tree compares for a filesystem."},
    {"abt", 2, "node_xfs_allocation_btree_records_inserted_total",
     "Number of allocation B-tree records inserted for a filesystem."},
    {"abt", 3, "node_xfs_allocation_btree_records_deleted_total",
     "Number of allocation B-tree records deleted for a filesystem."},
    {"blk_map", 0, "node_xfs_block_mapping_reads_total", "Number of block map for read operations for a filesystem."},
    {"blk_map", 1, "node_xfs_block_mapping_writes_total", "Number of block map for write operations for a filesystem."},
    {"blk_map", 2, "node_xfs_block_mapping_unmaps_total", "Number of block unmaps (deletes) for a filesystem."},
    {"blk_map", 3, "node_xfs_block_mapping_extent_list_insertions_total",
     "Number of extent list insertions for a filesystem."},
    {"blk_map", 4, "node_xfs_block_mapping_extent_list_deletions_total",
     "Number of extent list deletions for a filesystem."},
    {"blk_map", 5, "node_xfs_block_mapping_extent_list_lookups_total",
     "Number of extent list lookups for a filesystem."},
    {"blk_map", 6, "node_xfs_block_mapping_extent_list_compares_total",
     "Number of extent list compares for a filesystem."},
    {"bmbt", 0, "node_xfs_block_map_btree_lookups_total", "Number of block map B-tree lookups for a filesystem."},
    {"bmbt", 1, "node_xfs_block_map_btree_compares_total", "Number of block map B-tree compares for a filesystem."},
    {"bmbt", 2, "node_xfs_block_map_btree_records_inserted_total",
     "Number of block map B-tree records inserted for a filesystem."},
    {"bmbt", 3, "node_xfs_block_map_btree_records_deleted_total",
     "Number of block map B-tree records deleted for a filesystem."},
    {"dir", 0, "node_xfs_directory_operation_lookup_total",
     "Number of file name directory lookups which miss the operating systems directory name lookup cache."},
    {"dir", 1, "node_xfs_directory_operation_create_total",
     "Number of times a new directory entry was created for a filesystem."},
    {"dir", 2, "node_xfs_directory_operation_remove_total",
     "Number of times an existing directory entry was created for a filesystem."},
    {"dir", 3, "node_xfs_directory_operation_getdents_total",
     "Number of times the directory getdents operation was performed for a filesystem."},
    {"ig", 0, "node_xfs_inode_operation_attempts_total",
     "Number of times the OS looked for an XFS inode in the inode cache."},
    {"ig", 1, "node_xfs_inode_operation_found_total",
     "Number of times the OS looked for and found an XFS inode in the inode cache."},
    {"ig", 2, "node_xfs_inode_operation_recycled_total",
     "Number of times the OS found an XFS inode in the cache, but could not use it as it was being recycled."},
    {"ig", 3, "node_xfs_inode_operation_missed_total",
     "Number of times the OS looked for an XFS inode in the cache, but did not find it."},
    {"ig", 4, "node_xfs_inode_operation_duplicates_total",
     "Number of times the OS tried to add a missing XFS inode to the inode cache, but found it had already been added "
     "by another process."},
    {"ig", 5, "node_xfs_inode_operation_reclaims_total",
     "Number of times the OS reclaimed an XFS inode from the inode cache to free memory for another purpose."},
    {"ig", 6, "node_xfs_inode_operation_attribute_changes_total",
     "Number of times the OS explicitly changed the attributes of an XFS inode."},
    {"rw", 0, "node_xfs_write_calls_total", "Number of write(2) system calls made to files in a filesystem."},
    {"rw", 1, "node_xfs_read_calls_total", "Number of read(2) system calls made to files in a filesystem."},
    {"vnodes", 0, "node_xfs_vnode_active_total", "Number of vnodes not on free lists for a filesystem."},
    {"vnodes", 1, "node_xfs_vnode_allocate_total", "Number of times vn_alloc called for a filesystem."},
    {"vnodes", 2, "node_xfs_vnode_get_total", "Number of times vn_get called for a filesystem."},
    {"vnodes", 3, "node_xfs_vnode_hold_total", "Number of times vn_hold called for a filesystem."},
    {"vnodes", 4, "node_xfs_vnode_release_total", "Number of times vn_rele called for a filesystem."},
    {"vnodes", 5, "node_xfs_vnode_reclaim_total", "Number of times vn_reclaim called for a filesystem."},
    {"vnodes", 6, "node_xfs_vnode_remove_total", "Number of times vn_remove called for a filesystem."},
});

class XfsPart final : public Part {
 public:
  XfsPart(FileReader& reader, const Roots& roots) : reader_(reader), listing_(roots.sysfs + "/fs/xfs") {}
  std::string_view name() const override { return "xfs"; }

  Outcome collect(const Pass& pass) override {
    if (listing_.changed(pass)) find();
    if (listing_.error() != 0 && listing_.error() != ENOENT) {
      return Outcome::failed(listing_.error(), listing_.directory());
    }
    for (FileSystem& file_system : file_systems_) {
      const auto text = file_system.file.read();
      file_system.values.fill(std::nullopt);
      if (text) read(*text, file_system.values);
    }
    for (std::size_t i = 0; i < kXfsColumns.size(); ++i) {
      bool begun = false;
      for (const FileSystem& file_system : file_systems_) {
        if (!file_system.values[i]) continue;
        if (!begun) pass.sink.family(kXfsColumns[i].metric, kCounter, kXfsColumns[i].help);
        begun = true;
        pass.sink.sample({{"device", file_system.device}}, static_cast<double>(*file_system.values[i]));
      }
    }
    return {};
  }

 private:
  static constexpr std::size_t kFileSystemsMax = 4096;
  using Values = std::array<std::optional<std::uint64_t>, kXfsColumns.size()>;
  struct FileSystem {
    std::string device;
    KeptFile file;
    Values values;
  };

  // Beside the file systems there is "stats", which is of all of them.
  void find() {
    file_systems_.clear();
    for (const std::string& name : listing_.names()) {
      if (file_systems_.size() == kFileSystemsMax) break;
      KeptFile file(reader_, listing_.directory() + "/" + name + "/stats/stats");
      if (!file.read()) continue;
      file_systems_.push_back({.device = name, .file = std::move(file), .values = {}});
      make_utf8(file_systems_.back().device);
    }
  }

  static void read(std::string_view text, Values& values) {
    Scanner lines(text);
    while (!lines.at_end()) {
      Scanner words(lines.line());
      const std::string_view key = words.word();
      // Columns of a line stand together, in their order.
      std::size_t place = 0;
      for (std::size_t i = 0; i < kXfsColumns.size(); ++i) {
        if (kXfsColumns[i].line != key) continue;
        std::uint64_t value = 0;
        bool good = true;
        for (; good && place <= kXfsColumns[i].place; ++place) good = words.number(value);
        if (!good) break;
        values[i] = value;
      }
    }
  }

  FileReader& reader_;
  Listing listing_;
  std::vector<FileSystem> file_systems_;
};

}  // namespace

std::unique_ptr<Part> xfs_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<XfsPart>(reader, roots);
}

}  // namespace qd::observe::host
