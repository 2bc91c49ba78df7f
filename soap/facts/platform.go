package facts

import "strings"

// platform tells what an executable runs on, in Go's words, or nothing when head does not say.
func platform(mediaType string, head []byte) string {
	switch {
	case has(head, 0, "\x7fELF"):
		return elf(head)
	case mediaType == "application/vnd.microsoft.portable-executable":
		return portable(head)
	case mediaType == "application/x-mach-binary":
		return mach(head)
	case mediaType == "application/wasm":
		return "wasm"
	case mediaType == "application/x-java-applet":
		return "jvm"
	case mediaType == "application/vnd.android.package-archive":
		return "android"
	}
	return ""
}

// on joins system and processor, if the processor is known.
func on(system, processor string) string {
	if processor == "" {
		return system
	}
	return system + "/" + processor
}

var elfSystems = map[byte]string{0: "linux", 2: "netbsd", 3: "linux", 6: "solaris", 9: "freebsd", 12: "openbsd"}

// elf reads the identification and the machine (System V ABI, chapter 4). Linux's own binaries mostly leave the system
// open.
func elf(head []byte) string {
	if len(head) < 20 {
		return ""
	}
	system := elfSystems[head[7]]
	if system == "" {
		return ""
	}
	wide, bigEndian := head[4] == 2, head[5] == 2
	machine := little.Uint16(head[18:])
	if bigEndian {
		machine = big.Uint16(head[18:])
	}
	pick := func(narrow, wideLittle, wideBig string) string {
		switch {
		case !wide:
			return narrow
		case bigEndian:
			return wideBig
		}
		return wideLittle
	}
	processor := ""
	switch machine {
	case 2, 18, 43:
		processor = pick("sparc", "", "sparc64")
	case 3:
		processor = "386"
	case 8:
		processor = pick("mipsle", "mips64le", "mips64")
		if !wide && bigEndian {
			processor = "mips"
		}
	case 20:
		processor = "ppc"
	case 21:
		processor = pick("", "ppc64le", "ppc64")
	case 22:
		processor = pick("s390", "", "s390x")
	case 40:
		processor = "arm"
	case 62:
		processor = pick("amd64p32", "amd64", "")
	case 183:
		processor = pick("", "arm64", "arm64be")
	case 243:
		processor = pick("riscv", "riscv64", "")
	case 258:
		processor = pick("", "loong64", "")
	}
	return on(system, processor)
}

var peMachines = map[uint16]string{0x014c: "386", 0x8664: "amd64", 0x01c0: "arm", 0x01c2: "arm", 0x01c4: "arm", 0xaa64: "arm64"}

// portable reads the header of a Windows program behind its DOS stub (PE format, sections COFF File Header and Optional
// Header).
func portable(head []byte) string {
	if len(head) < 0x40 {
		return ""
	}
	offset := int64(little.Uint32(head[0x3c:]))
	if offset > int64(len(head)-24) {
		return "" // out of sight
	}
	i := int(offset)
	if !has(head, i, "PE\x00\x00") {
		return "dos"
	}
	system := "windows"
	if subsystem := little.Uint16(at(head, i+24+68, 2)); subsystem >= 10 && subsystem <= 13 {
		system = "efi"
	}
	return on(system, peMachines[little.Uint16(head[i+4:])])
}

var machMachines = map[uint32]string{7: "386", 0x01000007: "amd64", 12: "arm", 0x0100000c: "arm64", 18: "ppc", 0x01000012: "ppc64"}

// mach reads a Mach-O header, or the table of those in a universal binary.
func mach(head []byte) string {
	switch {
	case has(head, 0, "\xcf\xfa\xed\xfe"), has(head, 0, "\xce\xfa\xed\xfe"):
		return on("darwin", machMachines[little.Uint32(at(head, 4, 4))])
	case has(head, 0, "\xfe\xed\xfa\xcf"), has(head, 0, "\xfe\xed\xfa\xce"):
		return on("darwin", machMachines[big.Uint32(at(head, 4, 4))])
	case !has(head, 0, "\xca\xfe\xba\xbe"):
		return ""
	}
	const most = 4 // fit into a platform; nobody has made a binary of more
	var all []string
	for i := range min(most, big.Uint32(at(head, 4, 4))) {
		if m := machMachines[big.Uint32(at(head, 8+20*int(i), 4))]; m != "" {
			all = append(all, m)
		}
	}
	return on("darwin", strings.Join(all, "+"))
}
