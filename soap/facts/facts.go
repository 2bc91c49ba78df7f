// Package facts tells what a file is from its name, its size and the beginning of its content: from the content, and
// from the name only where the content leaves it open. A head can be cut anywhere and made by anybody; what it costs is
// bounded by its length, and what it says is one of a closed set of answers.
package facts

import (
	"bytes"

	"shoal"
	"shoal/soap/enrichment"
)

// Of tells what is known of the file called name, of size bytes, whose content begins with head. At most shoal.MaxHead
// bytes of head are looked at; an empty head of a file that is not empty means that nothing is known of its content. The
// answer is Known, and always has a media type and a category.
func Of(name shoal.Name, size int64, head []byte) shoal.Facts {
	head = head[:min(len(head), shoal.MaxHead)]
	whole := int64(len(head)) >= size
	f := shoal.Facts{State: shoal.Known, MediaType: mediaType(string(name), whole, head)}
	sort := sortOf(f.MediaType)
	f.Category, f.Archive = string(sort.category), string(sort.archive)
	if sort.textual {
		f.Encoding = string(encodingOf(head, whole))
	}
	switch sort.category {
	case enrichment.CategoryImage:
		f.Width, f.Height = dimensions(f.MediaType, head)
	case enrichment.CategoryExecutable:
		f.Platform = platform(f.MediaType, head)
	}
	return f
}

// at returns n bytes of head from offset on, or zeros where head does not have them all.
func at(head []byte, offset, n int) []byte {
	if offset < 0 || offset > len(head)-n {
		return zeros[:n]
	}
	return head[offset : offset+n]
}

var zeros [8]byte

func has(head []byte, offset int, magic string) bool {
	return offset <= len(head) && bytes.HasPrefix(head[offset:], []byte(magic))
}
