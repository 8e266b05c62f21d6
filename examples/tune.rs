use shadegrad::gpu::*;
use shadegrad::ops::*;
use shadegrad::plan::*;
use shadegrad::shape::*;
use std::time::Instant;
fn time(gpu:&Gpu, name:&str, make: &dyn Fn(&mut Plan)->Pass, s:&Settings, flops: f64, check: bool) {
    let mut plan=Plan::default();
    let pass=make(&mut plan);
    let mut rec=Recording::new();
    record(&plan,&pass,s,&mut rec).unwrap();
    for c in &mut rec.commands { if let Command::Dispatch(d)=c { for src in &mut d.kernel.sources { let text=std::fs::read_to_string(src.path).unwrap(); *src=Box::leak(Box::new(Source{path:src.path,text:Box::leak(text.into_boxed_str())})); } } }
    if name=="conv2.forward" && std::env::var("PROTO").is_ok() { for c in &mut rec.commands { if let Command::Dispatch(d)=c {
        let text=std::fs::read_to_string(std::env::var("PROTO").unwrap()).unwrap();
        d.kernel=KernelSpec::new([&*Box::leak(Box::new(Source{path:"proto",text:Box::leak(text.into_boxed_str())}))]);
        d.reads.retain(|(n,_)|*n!="b"); d.reads[0].0="a_"; d.reads[1].0="b_"; d.writes[0].0="C"; d.groups=[1,57600/24]; } } }
    let st:Vec<_>=plan.storages.iter().map(|s|(s.name.clone(),s.len)).collect();
    let mem=Memory::new(gpu,&st,&[&rec],32).unwrap();
    let mut host: Vec<Vec<f32>> = vec![];
    for id in &pass.inputs { let t=plan.get(*id); 
        let mut x=12345u32; let v:Vec<f32>=(0..t.region.len).map(|_|{x=x.wrapping_mul(1664525).wrapping_add(1013904223); (x>>8) as f32/8388608.0-1.0}).collect();
        mem.write(gpu,t.region,bytemuck::cast_slice(&v)); host.push(v);}
    let t0=Instant::now();
    let prog=Program::new(gpu,&mem,&rec).unwrap();
    prog.submit(gpu,&mem,&[Step::default()]).unwrap(); pollster::block_on(gpu.finish("x")).unwrap();
    let first=t0.elapsed().as_secs_f64()*1e3;
    let mut best=f64::MAX; let mut all=vec![];
    for _ in 0..9 { let t=Instant::now(); prog.submit(gpu,&mem,&[Step::default()]).unwrap(); pollster::block_on(gpu.finish("x")).unwrap(); let e=t.elapsed().as_secs_f64()*1e3; best=best.min(e); all.push(e);}
    all.sort_by(|a,b|a.total_cmp(b));
    let mut err=String::new();
    if check {
        let mut m=shadegrad::reference::Machine::<f32>::new(&plan);
        for (id,v) in pass.inputs.iter().zip(&host) { m.real(plan.get(*id).region).copy_from_slice(v); }
        m.run(&plan,&pass,Step::default());
        let o=plan.get(pass.outputs[0]).region; let want=m.real(o).to_vec();
        let got=pollster::block_on(mem.read(gpu,o)).unwrap(); let got:&[f32]=bytemuck::cast_slice(&got);
        let mx=want.iter().fold(0f32,|a,b|a.max(b.abs()));
        let e=want.iter().zip(got).fold(0f32,|a,(x,y)|a.max((x-y).abs()));
        err=format!("relerr {:e}", e/mx);
    }
    println!("{name:28} best {best:8.2} median {:8.2} ms  {:6.1} GFLOP/s  first {first:7.0} ms  {} dispatches {err}", all[4], flops/best/1e6, rec.commands.len());
}
fn main(){
    let gpu=pollster::block_on(Gpu::open(&AdapterChoice::Auto,Step::FIELDS)).unwrap().unwrap().gpu;
    let args:Vec<String>=std::env::args().collect();
    let check=args.iter().any(|a|a=="check");
    let conv=|h:usize,c:usize,k:usize|{ conv2d::Geometry{window:Window2d::new(100,[h,h,c],[3,3],[1,1],Padding::Valid).unwrap(),filters:k}};
    let one=|op: Box<dyn Fn(&mut Plan)->Pass>| op;
    let tiles: Vec<(usize,usize,usize,usize)>=std::env::var("TILES").unwrap_or("12,4,4,2".into()).split(' ').map(|t|{let v:Vec<usize>=t.split(',').map(|x|x.parse().unwrap()).collect();(v[0],v[1],v[2],v[3])}).collect();
    for src in [OperandSource::Texture, OperandSource::Buffer] { for t in tiles.clone() {
        if src==OperandSource::Buffer && std::env::var("BUF").is_err() {continue}
        let s=Settings{operands:src,tile:Tile{rows:t.0,columns4:t.1,across:t.2,down:t.3},..Settings::software()};
        println!("--- {src:?} {t:?}");
        let g=conv(26,32,64); let fl=2.0*57600.0*288.0*64.0;
        time(&gpu,"conv2.forward",&*one(Box::new(move |p|{let x=p.tensor("x",&[g.window.input_len()],Element::Real);let w=p.tensor("w",&[g.weight_len()],Element::Real);let b=p.tensor("b",&[g.filters],Element::Real);let y=p.tensor("y",&[g.output_len()],Element::Real);p.pass("f",conv2d::Forward{geometry:g,activation:Activation::Relu},&[x,w,b],&[y])})),&s,fl,check);
        time(&gpu,"conv2.backward_input",&*one(Box::new(move |p|{let x=p.tensor("x",&[g.window.input_len()],Element::Real);let w=p.tensor("w",&[g.weight_len()],Element::Real);let y=p.tensor("dy",&[g.output_len()],Element::Real);let dx=p.tensor("dx",&[g.window.input_len()],Element::Real);p.pass("f",conv2d::BackwardInput{geometry:g,producer:Activation::Relu},&[y,w,x],&[dx])})),&s,fl,check);
        time(&gpu,"conv2.backward_weight",&*one(Box::new(move |p|{let x=p.tensor("x",&[g.window.input_len()],Element::Real);let w=p.tensor("dw",&[g.weight_len()],Element::Real);let y=p.tensor("dy",&[g.output_len()],Element::Real);p.pass("f",conv2d::BackwardWeight{geometry:g},&[x,y],&[w])})),&s,fl,check);
        let d=dense::Geometry{batch:100,inputs:9216,outputs:128}; let fl=2.0*100.0*9216.0*128.0;
        time(&gpu,"fc1.forward",&*one(Box::new(move |p|{let x=p.tensor("x",&[921600],Element::Real);let w=p.tensor("w",&[9216*128],Element::Real);let b=p.tensor("b",&[128],Element::Real);let y=p.tensor("y",&[12800],Element::Real);p.pass("f",dense::Forward{geometry:d,activation:Activation::Relu},&[x,w,b],&[y])})),&s,fl,check);
        time(&gpu,"fc1.backward_input",&*one(Box::new(move |p|{let x=p.tensor("dy",&[12800],Element::Real);let w=p.tensor("w",&[9216*128],Element::Real);let y=p.tensor("dx",&[921600],Element::Real);p.pass("f",dense::BackwardInput{geometry:d,producer:Activation::Identity},&[x,w],&[y])})),&s,fl,check);
        time(&gpu,"fc1.backward_weight",&*one(Box::new(move |p|{let x=p.tensor("x",&[921600],Element::Real);let y=p.tensor("dy",&[12800],Element::Real);let w=p.tensor("dw",&[9216*128],Element::Real);p.pass("f",dense::BackwardWeight{geometry:d},&[x,y],&[w])})),&s,fl,check);
    }}
    let s=Settings::software(); let g=conv(28,1,32); let fl=2.0*67600.0*9.0*32.0;
    time(&gpu,"conv1.forward",&*one(Box::new(move |p|{let x=p.tensor("x",&[g.window.input_len()],Element::Real);let w=p.tensor("w",&[g.weight_len()],Element::Real);let b=p.tensor("b",&[g.filters],Element::Real);let y=p.tensor("y",&[g.output_len()],Element::Real);p.pass("f",conv2d::Forward{geometry:g,activation:Activation::Relu},&[x,w,b],&[y])})),&s,fl,check);
    time(&gpu,"conv1.backward_weight",&*one(Box::new(move |p|{let x=p.tensor("x",&[g.window.input_len()],Element::Real);let w=p.tensor("dw",&[g.weight_len()],Element::Real);let y=p.tensor("dy",&[g.output_len()],Element::Real);p.pass("f",conv2d::BackwardWeight{geometry:g},&[x,y],&[w])})),&s,fl,check);
    time(&gpu,"conv1.backward_bias",&*one(Box::new(move |p|{let w=p.tensor("db",&[g.filters],Element::Real);let y=p.tensor("dy",&[g.output_len()],Element::Real);p.pass("f",conv2d::BackwardBias{geometry:g},&[y],&[w])})),&s,fl,check);
}
