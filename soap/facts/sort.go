package facts

import (
	"strings"

	"shoal/soap/enrichment"
)

// sort is what a media type says beside itself.
type sort struct {
	category enrichment.Category
	archive  enrichment.Archive // of an archive
	textual  bool               // it is text, whatever its category
}

// sortOf tells the sort of a media type.
func sortOf(mediaType string) sort {
	s := sorts[mediaType]
	if strings.HasSuffix(mediaType, "+xml") || strings.HasSuffix(mediaType, "+json") {
		s.textual = true
	}
	if s.category != "" {
		return s
	}
	top, _, _ := strings.Cut(mediaType, "/")
	switch top {
	case "image":
		s.category = enrichment.CategoryImage
	case "video":
		s.category = enrichment.CategoryVideo
	case "audio":
		s.category = enrichment.CategoryAudio
	case "font":
		s.category = enrichment.CategoryFont
	case "text", "message":
		s.category, s.textual = enrichment.CategoryText, true
	default:
		s.category = enrichment.CategoryData
		if s.textual {
			s.category = enrichment.CategoryText
		}
	}
	return s
}

func archive(kind enrichment.Archive) sort {
	return sort{category: enrichment.CategoryArchive, archive: kind}
}

var (
	document   = sort{category: enrichment.CategoryDocument}
	executable = sort{category: enrichment.CategoryExecutable}
	text       = sort{category: enrichment.CategoryText, textual: true}
)

// sorts are those whose names do not say them.
var sorts = map[string]sort{
	zipped:                                  archive(enrichment.ArchiveZip),
	"application/java-archive":              archive(enrichment.ArchiveZip),
	"application/x-xpinstall":               archive(enrichment.ArchiveZip),
	"application/x-tar":                     archive(enrichment.ArchiveTar),
	"application/gzip":                      archive(enrichment.ArchiveGzip),
	"application/x-bzip2":                   archive(enrichment.ArchiveBzip2),
	"application/x-xz":                      archive(enrichment.ArchiveXz),
	"application/zstd":                      archive(enrichment.ArchiveZstd),
	"application/x-lz4":                     archive(enrichment.ArchiveLz4),
	"application/lzip":                      archive(enrichment.ArchiveLzip),
	"application/zlib":                      archive(enrichment.ArchiveZlib),
	"application/x-7z-compressed":           archive(enrichment.Archive7z),
	"application/vnd.rar":                   archive(enrichment.ArchiveRar),
	"application/vnd.ms-cab-compressed":     archive(enrichment.ArchiveCab),
	"application/x-installshield":           archive(enrichment.ArchiveCab),
	"application/x-cpio":                    archive(enrichment.ArchiveCpio),
	"application/x-archive":                 archive(enrichment.ArchiveAr),
	"application/x-xar":                     archive(enrichment.ArchiveXar),
	"application/vnd.debian.binary-package": archive(enrichment.ArchiveDeb),
	"application/x-rpm":                     archive(enrichment.ArchiveRpm),
	"application/warc":                      archive(enrichment.ArchiveWarc),
	"application/x-iso9660-image":           archive(enrichment.ArchiveIso9660),
	"application/x-brotli":                  archive(""),
	"application/x-lzma":                    archive(""),
	"application/x-chrome-extension":        archive(""),

	"application/pdf":                document,
	"application/postscript":         document,
	"application/epub+zip":           document,
	"application/vnd.comicbook+zip":  document,
	"application/msword":             document,
	"application/vnd.ms-excel":       document,
	"application/vnd.ms-powerpoint":  document,
	"application/vnd.ms-publisher":   document,
	"application/vnd.ms-outlook":     document,
	"application/vnd.ms-htmlhelp":    document,
	"application/vnd.wordperfect":    document,
	"application/vnd.framemaker":     document,
	"application/vnd.lotus-1-2-3":    document,
	"application/x-mobipocket-ebook": document,
	"application/x-ms-reader":        document,
	"application/onenote":            document,
	"image/vnd.djvu":                 document,
	"text/rtf":                       {category: enrichment.CategoryDocument, textual: true},

	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   document,
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         document,
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": document,
	"application/vnd.ms-visio.drawing.main+xml":                                 document,
	"application/vnd.oasis.opendocument.text":                                   document,
	"application/vnd.oasis.opendocument.text-template":                          document,
	"application/vnd.oasis.opendocument.spreadsheet":                            document,
	"application/vnd.oasis.opendocument.spreadsheet-template":                   document,
	"application/vnd.oasis.opendocument.presentation":                           document,
	"application/vnd.oasis.opendocument.presentation-template":                  document,
	"application/vnd.oasis.opendocument.graphics":                               document,
	"application/vnd.oasis.opendocument.graphics-template":                      document,
	"application/vnd.oasis.opendocument.formula":                                document,
	"application/vnd.oasis.opendocument.chart":                                  document,
	"application/vnd.sun.xml.calc":                                              document,

	program:                     executable,
	"application/x-elf":         executable,
	"application/x-executable":  executable,
	"application/x-sharedlib":   executable,
	"application/x-object":      executable,
	"application/x-mach-binary": executable,
	"application/x-java-applet": executable,
	"application/wasm":          executable,
	"application/vnd.android.package-archive": {
		category: enrichment.CategoryExecutable, archive: enrichment.ArchiveZip,
	},
	"application/x-ms-installer":    executable,
	"application/x-bytecode.python": executable,

	"application/json":              text,
	"application/x-ndjson":          text,
	"application/xml":               text,
	"application/yaml":              text,
	"application/toml":              text,
	"application/sql":               text,
	"application/x-tex":             text,
	"application/x-subrip":          text,
	"application/x-amf":             text,
	"application/x-pem-file":        text,
	"application/vnd.apple.mpegurl": {category: enrichment.CategoryAudio, textual: true},

	"application/vnd.rn-realmedia-vbr": {category: enrichment.CategoryVideo},
	"application/ogg":                  {category: enrichment.CategoryVideo},
	"application/vnd.ms-fontobject":    {category: enrichment.CategoryFont},
}
