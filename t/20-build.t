#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# src/build with real compilers: what becomes an image, what is found again in the store,
# what is said when something is wrong, and that limits hold.

use strict;
use warnings;
use utf8;
use Cwd qw(abs_path);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;
use Time::HiRes qw(time sleep);

binmode $_, ':utf8' for Test::More->builder->output, Test::More->builder->failure_output;

my $build = abs_path($ENV{DEVSERVE_BUILD} // 'build');
$ENV{DEVSERVE_INCLUDE} = abs_path('include');
delete @ENV{qw(CC CXX NVCC CUDA_HOME CFLAGS)};

my $top = abs_path(tempdir(CLEANUP => 1));
my ($state, $root) = ("$top/state", "$top/plugins");
make_path($root);

sub put {
	my ($path, $text) = @_;
	my $full = "$root/$path";

	make_path($full =~ s{/[^/]*$}{}r);
	open my $f, '>', "$full.new" or die "$full: $!";
	print $f $text;
	close $f or die "$full: $!";
	rename "$full.new", $full or die "$full: $!"; # as editors do
	return $full;
}

# Runs build_once; one hash for each line that it prints. A leading hash of options:
# state, env.
sub build {
	my $o = ref $_[0] ? shift : {};
	my @options = grep { /^--/ } @_;
	my @paths = map { m{^/} ? $_ : "$root/$_" } grep { !/^--/ } @_;
	local %ENV = (%ENV, %{ $o->{env} // {} });
	sleep 0.03; # older than the compiler that reads it, by any clock
	open my $out, '-|', "$build/t/build_once", @options, $o->{state} // $state, $root, @paths or die $!;
	my @lines = <$out>;
	close $out;
	is($?, 0, 'build_once leaves nothing behind') if $? && !$o->{may_fail};
	my @results = map { decode_json($_) } @lines;
	return wantarray ? @results : $results[0];
}

sub check { # calls the function of an image
	my ($r, $function) = @_;

	return "no image: $r->{text}" unless $r->{image};
	my $said = join '', map { "$_ " } split /\n/, `$build/t/dlopen_check $r->{image} @{[$function // '']} 2>&1`;
	return $said =~ s/ $//r;
}

sub ok_build {
	my ($r, $name) = @_;

	is($r->{outcome}, 'ok', $name) or diag $r->{text};
}

sub content { # the bytes of a file
	open my $f, '<:raw', $_[0] or return '';
	local $/;
	return scalar <$f>;
}

sub have {
	my ($program) = @_;

	return grep { -x "$_/$program" } split /:/, $ENV{PATH};
}

my $export = 'EXPORT int check(void)';
my $c_export = "#define EXPORT __attribute__((visibility(\"default\")))\n";
my $cxx_export = "#define EXPORT extern \"C\" __attribute__((visibility(\"default\")))\n";

subtest 'C, with libm and BLAS' => sub {
	put('c/c.c', <<~"E");
		#include <devserve/deployment.h>
		#include <cblas.h>
		#include <math.h>
		#include <pthread.h>
		#include <stdlib.h>
		#include <string.h>
		$c_export
		volatile float two = 2;
		static _Thread_local int calls;
		static void bye(void) { calls = 0; }
		__attribute__((target_clones("avx2", "default"))) static float half(float x) { return x / 2; }
		$export
		{
			float a[4] = { 1, 2, 3, 4 }, b[4] = { 1, 0, 0, 1 }, c[4];
			pthread_cond_t cond;
			pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
			__int128 wide = (__int128)(two * 1e18) * 1000;
			_Float16 small = (_Float16)two;

			atexit(bye);
			pthread_cond_init(&cond, NULL);
			pthread_mutex_lock(&lock);
			pthread_cond_signal(&cond);
			pthread_mutex_unlock(&lock);
			cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 2, 2, 2, 1, a, 2, b, 2, 0, c, 2);
			calls++;
			return (int)(c[3] * half(two) + expf(two - 2) + powf(two, 3) + (float)small) + (int)(wide / (__int128)(two * 1e20)) + calls;
		}
		E
	my $r = build('c');
	ok_build($r, 'it builds');
	ok(!$r->{cached}, 'with a compiler');
	is($r->{compiler}, 'gcc', 'which is named');
	cmp_ok($r->{compile_ns}, '>', 0, 'and takes its time');
	is(check($r, 'check'), 4 + 1 + 8 + 2 + 10 + 1 . ' loaded', 'it runs');
	is_deeply([grep { /unique|NODELETE/ } `readelf -dsW $r->{image}`], [], 'it can be unloaded');
	like(`readelf -SW $r->{image}`, qr/\.debug_info/, 'it has debug information');

	my $again = build('c');
	ok($again->{cached}, 'the second time no compiler runs');
	is($again->{image_hash}, $r->{image_hash}, 'and it is the same image');
	is($again->{source_hash}, $r->{source_hash}, 'of the same source');
	is($again->{compile_ns} + $again->{link_ns}, 0, 'in no time');
	is(build('--fingerprint', 'c')->{fingerprint}, $r->{source_hash}, 'as the fingerprint says');
};

sub versions { # of the symbols that an image takes from others
	my ($image) = @_;

	return [sort map { /UND (\S+@\S+)/ ? $1 : () } `readelf -W --dyn-syms $image`];
}

sub libraries {
	my ($image) = @_;

	return [sort map { /NEEDED.*\[(.*)\]/ ? $1 : () } `readelf -dW $image`];
}

subtest 'symbol versions are those of a full link' => sub {
	my $r = build('c');
	system("gcc -O3 -march=native -fPIC -fvisibility=hidden -shared -Iinclude $root/c/c.c -o $top/full-c.so -Wl,--as-needed -lopenblas -lm") == 0 or die;
	is_deeply(versions($r->{image}), versions("$top/full-c.so"), 'C');
	is_deeply(libraries($r->{image}), libraries("$top/full-c.so"), 'and the libraries');
	my @newest = grep { /^(expf|powf|pthread_cond_signal)@/ } @{ versions($r->{image}) };
	is_deeply(\@newest, ['expf@GLIBC_2.27', 'powf@GLIBC_2.27', 'pthread_cond_signal@GLIBC_2.3.2'],
		  'the newest') if `ldd --version` =~ /GLIBC/;
};

my $cxx = <<~"E";
	#include <devserve/deployment.h>
	#include <algorithm>
	#include <iostream>
	#include <map>
	#include <memory>
	#include <sstream>
	#include <stdexcept>
	#include <string>
	#include <thread>
	#include <typeinfo>
	#include <vector>
	$cxx_export
	struct base { virtual ~base() = default; virtual int value() const { return 1; } };
	struct derived : base { int value() const override { return 2; } };
	struct log { std::string text = "static"; ~log() { if (text != "static") abort(); } };
	static log one;
	template <typename T> struct counter { static inline int n = 0; };
	thread_local std::string name = "thread";
	static int fails(int x) { if (x) throw std::runtime_error("as it should"); return x; }
	$export
	{
		static std::map<int, std::string> lazy{ { 1, "one" } };
		std::vector<int> v{ 3, 1, 2 };
		std::unique_ptr<base> b = std::make_unique<derived>();
		std::ostringstream out;
		int caught = 0;

		std::sort(v.begin(), v.end());
		try { fails(v[2]); } catch (const std::exception &e) { caught = e.what() == std::string("as it should"); }
		std::thread([&] { caught += name == "thread"; }).join();
		out << v[0] << lazy[1] << std::endl;
		std::cout << "iostream " << std::flush;
		return caught * 100 + b->value() * 10 + (dynamic_cast<derived *>(b.get()) ? 1 : 0) + ++counter<int>::n + (out.str() == "1one\\n");
	}
	E

subtest 'C++: exceptions, RTTI, statics, iostream, threads' => sub {
	put('cxx/cxx.cc', $cxx);
	my $r = build('cxx');
	ok_build($r, 'it builds');
	is($r->{compiler}, 'g++', 'with g++');
	is(check($r, 'check'), 'iostream 223 loaded', 'it runs and unloads');
	is_deeply([map { /GLOBAL|WEAK/ && !/UND/ ? (split)[-1] : () } `readelf -W --dyn-syms $r->{image}`], ['check'], 'and exports no C++ names');
	system("g++ -std=gnu++17 -O3 -march=native -fno-gnu-unique -fPIC -fvisibility=hidden -shared -Iinclude $root/cxx/cxx.cc -o $top/full.so -Wl,--as-needed") == 0 or die;
	is_deeply(versions($r->{image}), versions("$top/full.so"), 'symbol versions are those of a full link');
	is_deeply(libraries($r->{image}), libraries("$top/full.so"), 'and the libraries');
};

subtest 'flags and libraries of its own' => sub {
	put('omp/omp.c', "#include <math.h>\n#include <zlib.h>\n$c_export\nvoid fill(float *x) { for (int i = 0; i < 64; i++) x[i] = sinf(x[i]); }\n$export { int n = 0; float x[64] = { 0 };\n\t#pragma omp parallel for reduction(+:n)\n\tfor (int i = 0; i < 10; i++) n += i;\n\tfill(x); return n + WHAT + (zlibVersion()[0] == '1') + (int)x[3]; }\n");
	my $r = build('--cflag=-fopenmp', '--cflag=-ffast-math', '--cflag=-DWHAT=2', '--ldlib=-lz', 'omp');
	ok_build($r, 'OpenMP, libmvec, -l');
	is(check($r, 'check'), '48 loaded', 'it runs') if $r->{image};
	is_deeply([grep { /gomp|mvec|libz/ } @{ libraries($r->{image}) }], [qw(libgomp.so.1 libmvec.so.1 libz.so.1)], 'with the libraries');
	like(build('--cflag=-DWHAT=3', '--ldlib=-lnowhere', 'omp')->{text}, qr/nowhere/, 'a library that is not there');
};

subtest 'assembler' => sub {
	put('asm/asm.S', "#define ANSWER 42\n\t.globl check\n\t.type check, \@function\ncheck:\n\tmov \$ANSWER, %eax\n\tret\n\t.size check, .-check\n\t.section .note.GNU-stack,\"\",\@progbits\n");
	my $r = build('asm');
	ok_build($r, 'it builds');
	is(check($r, 'check'), '42 loaded', 'it runs');
	put('asm/asm.S', "\tmov\n\tbogus %eax\n");
	$r = build('asm');
	is($r->{outcome}, 'failed', 'a bad instruction fails');
	is_deeply([map { "$_->{file}:$_->{line} $_->{severity}" } @{ $r->{diagnostics} }],
		  ["$root/asm/asm.S:1 error", "$root/asm/asm.S:2 error"], 'with its lines') or diag $r->{text};
};

subtest 'CUDA' => sub {
	put('cuda/cuda.cu', "#include <devserve/deployment.h>\n$cxx_export\n__global__ void twice(float *x) { x[threadIdx.x] *= 2; }\n$export { float *x = nullptr; twice<<<1, 1>>>(x); return cudaGetLastError() != cudaSuccess; }\n");
	my $none = build({ env => { PATH => '/usr/bin:/bin', CUDA_HOME => '/nowhere', NVCC => '/nowhere' } }, 'cuda');
	if ($none->{outcome} eq 'unsupported') {
		like($none->{diagnostics}[0]{message}, qr/nvcc.*install/, 'no toolkit: how to get it');
	} else {
		ok(-x '/usr/local/cuda/bin/nvcc', 'the toolkit at its usual place is found');
	}
	plan skip_all => 'no nvcc' if $none->{outcome} eq 'unsupported' && !have('nvcc');
	my $r = build('cuda');
	ok_build($r, 'it builds');
	is($r->{compiler}, 'nvcc', 'with nvcc');
	is($r->{text}, '', 'without a word');
	is(join(' ', map { "$_->{name} $_->{spilled} $_->{shared}" } @{ $r->{kernels} }), 'twice(float*) 0 0', 'the figures of its kernel');
	cmp_ok($r->{kernels}[0]{registers}, '>', 3, 'its registers');
	is($r->{device}, undef, 'its device code is in the image');
	like(check($r, 'check'), qr/^\d loaded$/, 'it loads and unloads');
	my $again = build('cuda');
	ok($again->{cached}, 'and is found again');
	is_deeply($again->{kernels}, $r->{kernels}, 'with its figures');
	put('cuda/cuda.cu', "#include <devserve/deployment.h>\n__global__ void twice(float *x) { x[threadIdx.x] *= two; }\n");
	$r = build('cuda');
	is_deeply([map { "$_->{file}:$_->{line}" } grep { $_->{severity} eq 'error' && $_->{file} } @{ $r->{diagnostics} }], ["$root/cuda/cuda.cu:2"], 'an error has its line') or diag $r->{text};
};

# A .cu without host code: NVRTC, and a file of its own beside the image.
subtest 'device code' => sub {
	local $ENV{DEVSERVE_LIBEXEC} = $build;
	my $kernel = sub { qq(#include "width.cuh"\n// <<<>>> is for the host\nextern "C" __global__ void fill(float *x, float value)\n{\n\t__shared__ float s[WIDTH];\n\ts[threadIdx.x] = value;\n\t__syncthreads();\n\tx[threadIdx.x] = s[WIDTH - 1 - threadIdx.x] $_[0];\n}\n) };

	put('device/width.cuh', "#define WIDTH 64\n");
	put('device/fill.cu', $kernel->(''));
	put('device/host.c', "#include <devserve/deployment.h>\n__attribute__((visibility(\"default\"))) const int check = 0;\n");
	my $r = build('device');
	plan skip_all => 'no NVRTC' if $r->{outcome} eq 'unsupported';
	ok_build($r, 'it builds');
	is($r->{compiler}, 'nvrtc', 'with NVRTC');
	is(join(' ', map { "$_->{name} $_->{spilled} $_->{shared}" } @{ $r->{kernels} }), 'fill 0 256', 'figures');
	like(content($r->{device}), qr/^DEVPACK1.*\x7fELF.*fill/s, 'a cubin in a pack');
	my $again = build('device');
	ok($again->{cached}, 'it is found again');
	is_deeply([@$again{qw(device kernels image_hash)}], [@$r{qw(device kernels image_hash)}], 'as it was');

	put('device/fill.cu', $kernel->('+ 1'));
	my $next = build('device');
	is($next->{image_hash}, $r->{image_hash}, 'an edit leaves the image as it is');
	is($next->{link_ns}, 0, 'nothing is linked');
	isnt($next->{device}, $r->{device}, 'and makes other device code');
	isnt($next->{source_hash}, $r->{source_hash}, 'which is something new');
	put('device/width.cuh', "#define WIDTH 32\n");
	is(build('device')->{kernels}[0]{shared}, 128, 'an edit of a header reaches it');

	put('device/fill.cu', $kernel->('+ one'));
	$r = build('device');
	is_deeply([map { "$_->{file}:$_->{line} $_->{message}" } grep { $_->{severity} eq 'error' } @{ $r->{diagnostics} }],
		  [qq($root/device/fill.cu:8 identifier "one" is undefined)], 'an error has its line') or diag $r->{text};
	put('device/fill.cu', qq(#include "absent.cuh"\n));
	is(build('device')->{outcome}, 'failed', 'a header that is missing');
	put('device/absent.cuh', '');
	is(build('device')->{outcome}, 'ok', 'or not');
	put('device/fill.cu', $kernel->(''));
	is(build('--repeat=3', 'device')->{outcome}, 'ok', 'one builder after another');

	put('device/fill.cu', $kernel->('+ 2'));
	$r = build('--time-ms=1', 'device');
	is($r->{outcome}, 'failed', 'one that takes longer than it may');
	is(join('; ', map { $_->{message} } @{ $r->{diagnostics} }), "nvrtc was stopped after 0.001 s, which $root/device/fill.cu took",
		'is stopped, by its name and its limit');

	put('alone/fill.cu', qq(extern "C" __global__ void fill(float *x) { *x = 1; }\n));
	like(build('alone')->{diagnostics}[0]{message}, qr/device alone; add a \.c/, 'without host code: what to add');
	put('alone/fill.cu', "__global__ void fill(float *x) { *x = 1; }\nvoid start(float *x) { fill<<<1, 1>>>(x); }\n");
	is(build('alone')->{compiler}, 'nvcc', 'one that launches is host code');
	put('alone/fill.cu', qq(extern "C" __global__ void fill(float *x) { float a[400]; for (int i = 0; i < 400; i++) a[i] = x[i]; for (int i = 0; i < 400; i++) x[i] = a[(i * (int)x[0]) % 400]; }\n));
	put('alone/host.c', "int unused;\n");
	cmp_ok(build('alone')->{kernels}[0]{stack}, '>=', 1600, 'an array that went to memory shows');
};

subtest 'mistakes' => sub {
	put('bad/bad.c', "int f(void)\n{\n\treturn 1\n}\n");
	my $r = build('bad');
	is($r->{outcome}, 'failed', 'a syntax error fails');
	is($r->{image}, undef, 'without an image');
	my $d = $r->{diagnostics}[0];
	is("$d->{file}:$d->{line}:$d->{column} $d->{severity}", "$root/bad/bad.c:3:17 error", 'its place');
	like($d->{message}, qr/expected ‘;’/, 'its message');
	like($r->{text}, qr/return 1\n.*\^/s, 'the text is the compiler\'s');
	unlike($r->{text}, qr/\033/, 'without colours');
	like(build('--color', 'bad')->{text}, qr/\033\[/, 'or with');
	ok(!build('bad')->{cached}, 'a failure is not kept');

	put('bad/bad.c', "int g(int);\nextern int there;\nint f(void)\n{\n\treturn g(1) +\n\t\tthere;\n}\n");
	$r = build('bad');
	is($r->{outcome}, 'failed', 'an undefined symbol fails');
	is_deeply([sort map { "$_->{file}:$_->{line}: $_->{message}" } @{ $r->{diagnostics} }],
		  ["$root/bad/bad.c:5: undefined reference to 'g'", "$root/bad/bad.c:5: undefined reference to 'there'"],
		  'with the places of the references') or diag $r->{text};

	put('bad/bad.c', "int f(void) { int unused; return 0; }\n");
	$r = build('bad');
	ok_build($r, 'a warning is no failure');
	like($r->{diagnostics}[0]{severity}, qr/warning/, 'but said');
	$r = build('bad');
	ok($r->{cached}, 'the next time without the compiler');
	like($r->{text}, qr/unused variable/, 'but with the warning');

	put('bad/bad.c', "#include \"later.h\"\nint f(void) { return LATER; }\n");
	$r = build('bad');
	is($r->{outcome}, 'failed', 'a missing header fails');
	ok(build("--depends=$root/bad/later.h", 'bad')->{depends}, 'and is waited for');
	my $before = build('--fingerprint', 'bad')->{fingerprint};
	put('bad/later.h', "#define LATER 1\n");
	isnt(build('--fingerprint', 'bad')->{fingerprint}, $before, 'it changes the fingerprint');
	ok_build(build('bad'), 'and helps');
	unlink "$root/bad/later.h";
	my $two = put('bad/two.c', "#include <devserve/none.h>\n");
	is(scalar(grep { $_->{message} =~ /none.h|later.h/ } @{ build('bad')->{diagnostics} }), 2, 'two sources, two messages');
};

subtest 'only what changed is compiled' => sub {
	my @files = map { "many/$_.c" } 1 .. 4;
	put($_, "#include \"shared/shared.h\"\n" . (/1/ ? "#include \"own.h\"\n" : '') . "int f" . /(\d)/ . "$1(void) { return SHARED; }\n") for @files;
	put('shared/shared.h', "#define SHARED 1\n");
	put('many/own.h', "#define OWN 1\n");
	put('many/sub/deep.c', "int deep(void) { return 5; }\n");
	put('many/sub/.#deep.c', "no\n");
	put('many/.hidden/x.c', "no\n");
	symlink '..', "$root/many/sub/up";
	my $first = build('many');
	ok_build($first, 'a directory of sources');

	my $objects = sub { my @o = glob "$state/objects/*.o"; return scalar @o };
	my $n = $objects->();
	my $text = "int deep(void) { return 6; }\n";
	put('many/sub/deep.c', $text);
	ok_build(build('many'), 'one source changed');
	is($objects->(), $n + 1, 'gives one new object');
	put('many/sub/deep.c', "int deep(void) { return 5; }\n");
	my $undone = build('many');
	ok($undone->{cached}, 'undone: no compiler');
	is($undone->{image_hash}, $first->{image_hash}, 'the first image');

	$n = $objects->();
	put('many/own.h', "#define OWN 2\n#define MORE\n");
	my $r = build('many');
	ok(!$r->{cached}, 'a header changed');
	cmp_ok($objects->(), '<=', $n + 1, 'only what reads it was compiled');
	put('shared/shared.h', "#define SHARED 2\n");
	$n = $objects->();
	build('many');
	is($objects->(), $n + 4, 'a shared header: four');
	put('shared/shared.h', "#define SHARED 1\n");
	put('many/own.h', "#define OWN 1\n");
	$r = build('many');
	ok($r->{cached}, 'both undone: none');
	is($r->{image_hash}, $first->{image_hash}, 'the first image again');

	ok(build("--depends=$root/shared/shared.h", 'many')->{depends}, 'it depends on the shared header');
	ok(build("--depends=$root/many/2.c", 'many')->{depends}, 'on its sources');
	ok(build("--depends=$root/many/new.cc", 'many')->{depends}, 'on new ones');
	ok(!build("--depends=$root/bad/bad.c", 'many')->{depends}, 'not on others');
	ok(!build("--depends=$root/shared/other.h", 'many')->{depends}, 'not on other headers');

	put('many/shared/shared.h', "#define SHARED 7\n");
	ok(build("--depends=$root/many/shared/shared.h", 'many')->{depends}, 'on one that would hide the shared one');
	ok(!build('many')->{cached}, 'which does');
	remove_tree("$root/many/shared");
	is(build('many')->{image_hash}, $first->{image_hash}, 'no longer');
	utime undef, undef, "$root/many/1.c";
	is(build('--fingerprint', 'many')->{fingerprint}, $first->{source_hash}, 'a touch changes nothing');
};

subtest 'what is a source' => sub {
	put('headers/only.h', "#pragma once\n");
	is(build('headers')->{outcome}, 'none', 'a directory of headers is no deployment');
	put('single.c', "#include \"shared/shared.h\"\n$c_export$export { return SHARED; }\n");
	is(check(build('single.c'), 'check'), '1 loaded', 'a single file is one');
	is(build('nothing')->{outcome}, 'none', 'what is not there');
	make_path("$root/a b");
	put('a b/x y.c', "#include \"h \$1 #2.h\"\n$c_export$export { return X; }\n");
	put('a b/h $1 #2.h', "#define X 3\n");
	my $r = build('a b');
	is(check($r, 'check'), '3 loaded', 'odd names');
	ok(build('a b')->{cached}, 'are kept');
	put('a b/h $1 #2.h', "#define X 4\n");
	is(check(build('a b'), 'check'), '4 loaded', 'and their headers are seen');
};

subtest 'clang' => sub {
	plan skip_all => 'no clang' unless have('clang');
	my %clang = (env => { CC => 'clang' });
	my $r = build(\%clang, 'c');
	# clang 14 has no _Float16 here; whichever it is, it must not be gcc's image.
	is($r->{compiler}, 'clang', 'is used when CC says so');
	put('clang/a.c', "$c_export#include <math.h>\n$export { int unused; volatile float x = 0; return (int)expf(x); }\n");
	$r = build(\%clang, 'clang');
	ok_build($r, 'C');
	is(check($r, 'check'), '1 loaded', 'runs');
	is($r->{diagnostics}[0]{severity}, 'warning', 'its warnings are read');
	is($r->{diagnostics}[0]{file}, "$root/clang/a.c", 'with their file');
	ok(build(\%clang, 'clang')->{cached}, 'and is kept');
	ok(!build('clang')->{cached}, 'apart from gcc\'s');
	$r = build(\%clang, 'cxx');
	ok_build($r, 'C++, by clang++');
	is($r->{compiler}, 'clang++', 'which is found by its name');
	is(check($r, 'check'), 'iostream 223 loaded', 'runs') if $r->{image};
	put('clang/a.c', "#include \"gone.h\"\n");
	build(\%clang, 'clang');
	ok(build({ env => { CC => 'clang' } }, "--depends=$root/clang/gone.h", 'clang')->{depends}, 'a missing header is understood');
	$r = build({ env => { CC => '/nowhere/cc' } }, 'single.c');
	is($r->{outcome}, 'unsupported', 'a compiler that is not there');
	like($r->{text}, qr/no C compiler/, 'is said');
};

subtest 'an unknown compiler links in full' => sub {
	my $wrapper = "$top/strange-cc";
	open my $f, '>', $wrapper;
	print $f "#!/bin/sh\ncase \" \$* \" in *' -### '*) echo hello >&2; exit 0;; esac\nexec gcc \"\$\@\"\n";
	close $f;
	chmod 0755, $wrapper;
	put('strange/a.c', "#include <math.h>\n$c_export$export { volatile float x = 0; return (int)expf(x) + 1; }\n");
	my @r = build({ env => { CC => $wrapper } }, 'strange');
	ok_build($r[0], 'it builds');
	like($r[0]{text}, qr/linked in full by strange-cc/, 'and says so');
	is(check($r[0], 'check'), '2 loaded', 'it runs');
};

subtest 'without gold' => sub {
	my $bin = "$top/bin";
	make_path($bin);
	for my $program (qw(gcc g++ as ld ld.bfd)) {
		my ($at) = grep { -x "$_/$program" } split /:/, $ENV{PATH};
		symlink "$at/$program", "$bin/$program" if $at;
	}
	my $r = build({ env => { PATH => $bin } }, 'c');
	ok_build($r, 'it builds');
	is(check($r, 'check'), '26 loaded', 'it runs');
	is($r->{text}, '', 'by ld itself');
	is_deeply(versions($r->{image}), versions("$top/full-c.so"), 'with the same versions');
	put('gold/gold.c', "int g(void);\nint f(void)\n{\n\treturn g();\n}\n");
	$r = build({ env => { PATH => $bin } }, 'gold');
	is_deeply([map { "$_->{file}:$_->{line} $_->{message}" } @{ $r->{diagnostics} }],
		  ["$root/gold/gold.c:4 undefined reference to `g'"], 'and says where a reference is undefined') or diag $r->{text};
	put('gold/gold.c', "int f(void)\n{\n\tasm(\"bogus\");\n\treturn 0;\n}\n");
	$r = build('gold');
	is_deeply([map { "$_->{file}:$_->{line}" } @{ $r->{diagnostics} }], ["$root/gold/gold.c:3"], 'what as says of C') or diag $r->{text};
};

subtest 'limits' => sub {
	put('slow/slow.cc', "template <int N> struct f { static constexpr long v = f<N - 1>::v + f<N - 2>::v * (N % 7); };\ntemplate <> struct f<0> { static constexpr long v = 1; };\ntemplate <> struct f<1> { static constexpr long v = 1; };\n" . join('', map { "long x$_ = f<$_ + 850>::v;\n" } 1 .. 2) . "#define A(x) x x x x x x x x x x\nint g(volatile int *p) { A(A(A(A(A(*p += *p * 3; )))))\n return 0; }\n");
	my $start = time;
	my $r = build('--time-ms=700', 'slow');
	is($r->{outcome}, 'failed', 'a compiler that takes too long');
	like($r->{text}, qr/g\+\+ was stopped after 0\.7 s, which \Q$root\E\/slow\/\S+ took/, 'is stopped');
	cmp_ok(time - $start, '<', 5, 'in time');

	$r = build('--memory=60000000', 'slow');
	is($r->{outcome}, 'failed', 'one that needs too much memory');
	like($r->{text}, qr/GiB of memory/, 'says so') or diag $r->{text};

	$start = time;
	$r = build('--cancel-ms=300', 'slow');
	is($r->{cancelled}, 1, 'a build is cancelled');
	cmp_ok(time - $start, '<', 2, 'at once');
	is(scalar(grep { /cc1plus.*slow\.cc/ } `ps -eo args`), 0, 'its compiler is gone');

	put('flood/flood.c', join '', map { "#warning flood $_\n" } 1 .. 10000);
	$r = build('flood');
	ok_build($r, '10,000 warnings');
	cmp_ok(length $r->{text}, '<', 66000, 'are cut');
	like($r->{text}, qr/\n… \d+ more lines\n$/, 'and it is said how many there were');
	put('flood/flood.c', "#error one\n" x 3000);
	$r = build('flood');
	is($r->{outcome}, 'failed', '3,000 errors');
	cmp_ok(length $r->{text}, '<', 66000, 'are cut, too');
};

subtest 'the store' => sub {
	put('st/st.c', "$c_export$export { return 5; }\n");
	my $own = "$top/store";
	my $r = build({ state => $own }, 'st');
	for my $kind (qw(objects images manifests links sources toolchain)) {
		for my $file (glob "$own/$kind/*") {
			for my $damage ("truncated", "changed") {
				open my $f, '+<', $file or die $!;
				truncate $f, (-s $file) / 2 if $damage eq 'truncated';
				print $f "\0damage" if $damage eq 'changed';
				close $f;
				my $again = build({ state => $own }, 'st');
				is(check($again, 'check'), '5 loaded', "one of $kind, $damage");
			}
		}
	}
	remove_tree("$own/$_") for qw(objects images);
	make_path("$own/$_") for qw(objects images);
	is(check(build({ state => $own }, 'st'), 'check'), '5 loaded', 'objects and images removed');

	system "rm -rf $own/tmp/*; mkdir -p $own/tmp/99999999-dead; touch $own/tmp/99999999-dead/x.o";
	build({ state => $own }, 'st');
	is_deeply([glob "$own/tmp/*"], [], 'what a killed server left is removed');

	utime time - 1000, time - 1000, glob("$own/*/*");
	my $image = build({ state => $own }, 'st')->{image};
	put('st/st.c', "$c_export$export { return 6; }\n");
	build({ state => $own }, 'st');
	utime time - 1000, time - 1000, grep { $_ ne $image } glob("$own/*/*");
	cmp_ok(build({ state => $own }, '--store=65536', '--trim', 'st')->{trimmed}, '>', 0, 'it is trimmed');
	ok(-e $image, 'what was used last stays');
	is(check(build({ state => $own }, 'st'), 'check'), '6 loaded', 'and it builds as before');
};

subtest 'two at once' => sub {
	put('two1/a.c', "$c_export$export { return 1; }\n");
	put('two2/a.cc', "$cxx_export$export { return 2; }\n");
	my @r = build('--jobs=1', 'two1', 'two2', 'two1');
	is_deeply([sort map { "$_->{name} $_->{outcome}" } @r], ['two1 ok', 'two1 ok', 'two2 ok'], 'in one process');
	put('two3/a.cc', $cxx);
	my @pids = map {
		my $pid = fork // die;
		exec 'sh', '-c', "$build/t/build_once $top/both $root $root/two3 >$top/both.$_" unless $pid;
		$pid;
	} 1 .. 2;
	waitpid $_, 0 for @pids;
	is_deeply([map { `cat $top/both.$_` =~ /"outcome":"(\w+)"/ } 1 .. 2], [qw(ok ok)], 'in two with one store');
};

subtest 'disks' => sub {
	plan skip_all => 'needs root' if $>;
	make_path("$top/small");
	plan skip_all => 'cannot mount' if system "mount -t tmpfs -o size=256k tmpfs $top/small 2>/dev/null";
	my $filled = build({ state => "$top/small" }, 'single.c');
	open my $f, '>', "$top/small/fill";
	1 while syswrite $f, "x" x 4096;
	close $f;
	put('single.c', "#include \"shared/shared.h\"\n$c_export$export { return SHARED + 1; }\n");
	my $r = build({ state => "$top/small", may_fail => 1 }, 'single.c');
	like($r->{text} // $r->{error}, qr/cannot (write|make) \S+: No space left on device/, 'a full disk is said') or diag explain $r;
	isnt($r->{outcome}, 'ok', 'and no image comes of it');
	system "mount -o remount,ro $top/small";
	$r = build({ state => "$top/small", may_fail => 1 }, 'single.c');
	like($r->{error} // '', qr/cannot .*Read-only/, 'a read-only one, too');
	system "umount $top/small";
};

subtest 'compile_commands.json' => sub {
	my $path = "$root/compile_commands.json";
	build("--commands=$path", 'many', 'cxx');
	open my $f, '<', $path or die;
	my $commands = decode_json(join '', <$f>);
	is(scalar @$commands, 6, 'one for each source');
	is_deeply([sort keys %{ $commands->[0] }], [qw(arguments directory file)], 'in the usual form');
	ok((grep { $_ eq "$root/many" } @{ $commands->[0]{arguments} }), 'with the include paths');
	my $inode = (stat $path)[1];
	build("--commands=$path", 'many', 'cxx');
	is((stat $path)[1], $inode, 'the same is not written again');
	SKIP: {
		skip 'no clang', 1 unless have('clang');
		my @arguments = @{ $commands->[-1]{arguments} };
		is(system('clang', '-fsyntax-only', '-Werror', @arguments[1 .. $#arguments]), 0, 'and clang takes it');
	}
};

done_testing;
