package forgetful

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Mount shows the disk at a folder, by FUSE, until unmount is called, which waits until nothing runs any more. Processes
// other than this one may use it.
func (d *Disk) Mount(folder string) (unmount func() error, err error) {
	zero := time.Duration(0)
	server, err := fs.Mount(folder, &dir{disk: d, node: d.root}, &fs.Options{
		EntryTimeout: &zero, AttrTimeout: &zero,
		MountOptions: fuse.MountOptions{DirectMount: true, FsName: "forgetful", Name: "forgetful", MaxWrite: 1 << 20},
	})
	if err != nil {
		return nil, fmt.Errorf("mounting at %s: %w", folder, err)
	}
	return func() error {
		if err := server.Unmount(); err != nil {
			return err
		}
		server.Wait()
		return nil
	}, nil
}

type (
	dir struct {
		fs.Inode
		disk *Disk
		node *node
	}
	file struct {
		fs.Inode
		disk *Disk
		node *node
	}
)

var (
	_ = fs.NodeOnAdder((*dir)(nil))
	_ = fs.NodeCreater((*dir)(nil))
	_ = fs.NodeMkdirer((*dir)(nil))
	_ = fs.NodeUnlinker((*dir)(nil))
	_ = fs.NodeRmdirer((*dir)(nil))
	_ = fs.NodeRenamer((*dir)(nil))
	_ = fs.NodeFsyncer((*dir)(nil))
	_ = fs.NodeGetattrer((*dir)(nil))
	_ = fs.NodeSetattrer((*dir)(nil))
	_ = fs.NodeOpener((*file)(nil))
	_ = fs.NodeReader((*file)(nil))
	_ = fs.NodeWriter((*file)(nil))
	_ = fs.NodeFsyncer((*file)(nil))
	_ = fs.NodeFlusher((*file)(nil))
	_ = fs.NodeAllocater((*file)(nil))
	_ = fs.NodeGetattrer((*file)(nil))
	_ = fs.NodeSetattrer((*file)(nil))
)

// OnAdd shows what a folder has from before.
func (f *dir) OnAdd(ctx context.Context) {
	for name, child := range f.node.children {
		f.AddChild(name, f.show(ctx, child), true)
	}
}

func (f *dir) show(ctx context.Context, n *node) *fs.Inode {
	if n.children != nil {
		return f.NewPersistentInode(ctx, &dir{disk: f.disk, node: n}, fs.StableAttr{Mode: syscall.S_IFDIR})
	}
	return f.NewPersistentInode(ctx, &file{disk: f.disk, node: n}, fs.StableAttr{})
}

func (f *dir) Create(ctx context.Context, name string, _, _ uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if !f.disk.enter() {
		return nil, nil, 0, syscall.EIO
	}
	defer f.disk.mu.Unlock()
	n := newFile()
	f.node.add(name, n)
	n.fill(&out.Attr)
	return f.show(ctx, n), nil, 0, 0
}

func (f *dir) Mkdir(ctx context.Context, name string, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if !f.disk.enter() {
		return nil, syscall.EIO
	}
	defer f.disk.mu.Unlock()
	n := newFolder()
	f.node.add(name, n)
	n.fill(&out.Attr)
	return f.show(ctx, n), 0
}

func (f *dir) Unlink(_ context.Context, name string) syscall.Errno {
	if !f.disk.enter() {
		return syscall.EIO
	}
	defer f.disk.mu.Unlock()
	f.node.remove(name)
	return 0
}

func (f *dir) Rmdir(ctx context.Context, name string) syscall.Errno {
	if !f.disk.enter() {
		return syscall.EIO
	}
	defer f.disk.mu.Unlock()
	if n := f.node.children[name]; n != nil && len(n.children) > 0 {
		return syscall.ENOTEMPTY
	}
	f.node.remove(name)
	return 0
}

func (f *dir) Rename(_ context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if !f.disk.enter() {
		return syscall.EIO
	}
	defer f.disk.mu.Unlock()
	target, ours := to.(*dir)
	if flags != 0 || !ours {
		return syscall.EINVAL
	}
	target.node.add(newName, f.node.remove(name))
	return 0
}

func (f *dir) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return f.disk.sync(f.node)
}

func (f *dir) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	return f.disk.attributes(f.node, out)
}

func (f *dir) Setattr(_ context.Context, _ fs.FileHandle, _ *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return f.disk.attributes(f.node, out)
}

func (f *file) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, 0, 0
}

func (f *file) Flush(context.Context, fs.FileHandle) syscall.Errno { return 0 }

func (f *file) Read(_ context.Context, _ fs.FileHandle, dest []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	if !f.disk.enter() {
		return nil, syscall.EIO
	}
	defer f.disk.mu.Unlock()
	at := min(int(offset), len(f.node.data))
	return fuse.ReadResultData(dest[:copy(dest, f.node.data[at:])]), 0
}

func (f *file) Write(_ context.Context, _ fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	if !f.disk.enter() {
		return 0, syscall.EIO
	}
	defer f.disk.mu.Unlock()
	f.node.write(data, int(offset))
	return uint32(len(data)), 0
}

func (f *file) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return f.disk.sync(f.node)
}

func (f *file) Allocate(_ context.Context, _ fs.FileHandle, offset, size uint64, mode uint32) syscall.Errno {
	const keepSize = 1
	if mode&^keepSize != 0 {
		return syscall.EOPNOTSUPP
	}
	if !f.disk.enter() {
		return syscall.EIO
	}
	defer f.disk.mu.Unlock()
	if end := int(offset + size); mode == 0 && end > len(f.node.data) {
		f.node.resize(end)
	}
	return 0
}

func (f *file) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	return f.disk.attributes(f.node, out)
}

func (f *file) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if !f.disk.enter() {
		return syscall.EIO
	}
	if size, set := in.GetSize(); set {
		f.node.resize(int(size))
	}
	f.disk.mu.Unlock()
	return f.disk.attributes(f.node, out)
}

func (d *Disk) sync(n *node) syscall.Errno {
	if !d.enter() {
		return syscall.EIO
	}
	defer d.mu.Unlock()
	n.sync()
	return 0
}

func (d *Disk) attributes(n *node, out *fuse.AttrOut) syscall.Errno {
	if !d.enter() {
		return syscall.EIO
	}
	defer d.mu.Unlock()
	n.fill(&out.Attr)
	return 0
}

func (n *node) fill(out *fuse.Attr) {
	out.Mode, out.Nlink = syscall.S_IFREG|0o600, 1
	if n.children != nil {
		out.Mode = syscall.S_IFDIR | 0o700
		return
	}
	out.Size, out.Blocks = uint64(len(n.data)), uint64(len(n.data)+sector-1)/sector
}
